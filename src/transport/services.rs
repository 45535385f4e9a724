//! The tonic services by name.
//!
//! tonic's `Routes` is not used: its router matches patterns, and its parameters and boxes cost as
//! much as the handler of a call.

mod message_count;

use std::collections::HashMap;
use std::convert::Infallible;

use tonic::Status;
use tonic::server::NamedService;
use tower::Service;

use self::message_count::{Counted, MessageCount};
use super::call::{max_message_bytes, method_of};
use super::middleware::BoxFuture;
use super::{Request, Response};

#[derive(Default)]
pub struct Services(HashMap<&'static str, Handle>);

type Handle = Box<dyn Fn(http::Request<Counted>) -> BoxFuture + Send + Sync>;

impl Services {
    /// Adds a service.
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
        // tonic's services are ready at any time.
        self.0.insert(S::NAME, Box::new(move |request| service.clone().call(request)));
        self
    }

    /// Calls the method that the path names.
    pub fn call(&self, request: Request) -> BoxFuture {
        let path = request.uri().path().strip_prefix('/');
        let name = path.and_then(|path| path.split_once('/')).map(|(name, _)| name);
        let Some(service) = name.and_then(|name| self.0.get(name)) else {
            let response = Status::unimplemented("there is no such service").into_http();
            return Box::pin(async { Ok(response) });
        };
        let takes_one = method_of(&request).is_some_and(|method| !method.is_client_streaming());
        // tonic itself checks the usual limit.
        let max_bytes = max_message_bytes(&request, usize::MAX);
        let count = MessageCount::new(takes_one, max_bytes);
        service(request.map(|body| Counted::new(body, count)))
    }
}
