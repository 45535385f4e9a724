//! The layers, each one async function around the rest of the way, or a plain one
//! (`mark`) where it only writes down something about the request.
//!
//! Their order and its reasons stand in `stack.rs`.

pub mod access_log;
pub mod admission;
pub mod authenticate;
pub mod client_network;
pub mod deadline;
pub mod drain;
mod forwarded;
mod holding;
pub mod identify;
pub mod load;
pub mod metrics;
pub mod observe;
pub mod panic;
pub mod refine;
pub mod request_id;
pub mod single;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::{Layer, Service};

use super::{Request, Response};

/// A service inside the door: it always has an answer.
pub trait Handler:
    Service<Request, Response = Response, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Handler for S where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// The future of boxed services.
pub type BoxFuture = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// What a layer does before and after the rest of the way.
pub trait Middleware: Send + Sync + 'static {
    /// Answers `request`, as a rule with what `next` answers.
    fn handle<S: Handler>(
        &self,
        request: Request,
        next: Next<S>,
    ) -> impl Future<Output = Response> + Send;
}

/// The rest of the way.
pub struct Next<S>(S);

impl<S: Handler> Next<S> {
    /// Goes on with `request`.
    pub fn run(mut self, request: Request) -> impl Future<Output = Response> + Send {
        // No `oneshot` and no `async fn`, which would keep a request's worth of room
        // in each layer's future for as long as the call runs. Inside the door all
        // are ready at any time.
        let call = self.0.call(request);
        async move {
            match call.await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    }
}

/// Makes a tower layer of a middleware.
pub fn around<M: Middleware>(middleware: M) -> Around<M> {
    Around(Arc::new(middleware))
}

/// See [`around`].
pub struct Around<M>(Arc<M>);

impl<M> Clone for Around<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M, S> Layer<S> for Around<M> {
    type Service = AroundService<M, S>;

    fn layer(&self, inner: S) -> Self::Service {
        AroundService(Arc::new(Both { middleware: Arc::clone(&self.0), inner }))
    }
}

/// A service with a middleware around it. One count is all that a clone costs,
/// however much is inside: each layer takes one for each request.
pub struct AroundService<M, S>(Arc<Both<M, S>>);

struct Both<M, S> {
    middleware: Arc<M>,
    inner: S,
}

impl<M, S> Clone for AroundService<M, S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Middleware, S: Handler> Service<Request> for AroundService<M, S> {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // And so is everything inside: see `Next`.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BoxFuture {
        let both = Arc::clone(&self.0);
        let next = Next(self.0.inner.clone());
        Box::pin(async move { Ok(both.middleware.handle(request, next).await) })
    }
}
