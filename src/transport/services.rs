//! The tonic services by name.
//!
//! Not tonic's `Routes`: it looks for them with a router of patterns, whose parameters
//! and boxes cost a call as much as its handler.

use std::collections::HashMap;
use std::convert::Infallible;

use tonic::Status;
use tonic::server::NamedService;
use tower::Service;

use super::Response;
use super::layers::BoxFuture;
use super::layers::single::Counted;

/// See the module.
#[derive(Default)]
pub struct Services(HashMap<&'static str, Answer>);

type Answer = Box<dyn Fn(http::Request<Counted>) -> BoxFuture + Send + Sync>;

impl Services {
    /// One more.
    #[must_use]
    pub fn with<S>(mut self, service: S) -> Self
    where
        S: Service<
                http::Request<Counted>,
                Response = Response,
                Error = Infallible,
                Future = BoxFuture,
            > + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
    {
        // tonic's are ready at any time.
        self.0.insert(S::NAME, Box::new(move |request| service.clone().call(request)));
        self
    }

    /// Answers a call of a method of one of them.
    pub fn call(&self, request: http::Request<Counted>) -> BoxFuture {
        let path = request.uri().path().strip_prefix('/');
        let name = path.and_then(|path| path.split_once('/')).map(|(name, _)| name);
        match name.and_then(|name| self.0.get(name)) {
            Some(service) => service(request),
            None => {
                let refusal = Status::unimplemented("there is no such service").into_http();
                Box::pin(async { Ok(refusal) })
            }
        }
    }
}
