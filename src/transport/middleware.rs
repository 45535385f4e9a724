//! Middleware: an async function around the rest of the stack. This takes less code than a tower
//! layer, a service and a future for each one.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::{Layer, Service};

use super::{Request, Response};

/// A service inside the stack: it never fails and is ready at any time.
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

pub type BoxFuture = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// One step of the stack: an async function around the rest of the stack.
pub trait Middleware: Send + Sync + 'static {
    /// Responds to `request`, usually with the response of `next`.
    fn handle<S: Handler>(
        &self,
        request: Request,
        next: Next<S>,
    ) -> impl Future<Output = Response> + Send;
}

/// The rest of the stack.
pub struct Next<S>(S);

impl<S: Handler> Next<S> {
    pub fn run(mut self, request: Request) -> impl Future<Output = Response> + Send {
        // Not `oneshot` and not an `async fn`: both keep the request in each middleware's future
        // for as long as the call runs. A `Handler` needs no readiness check.
        let call = self.0.call(request);
        async move {
            match call.await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    }
}

/// Makes a tower layer from a middleware.
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

/// A service with a middleware around it. A clone only increments a reference count, whatever the
/// size of the inner service: every layer clones its inner service for each request.
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
        // Every `Handler` is ready at any time.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BoxFuture {
        let both = Arc::clone(&self.0);
        let next = Next(self.0.inner.clone());
        Box::pin(async move { Ok(both.middleware.handle(request, next).await) })
    }
}
