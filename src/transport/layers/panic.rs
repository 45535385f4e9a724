//! A panic is answered as INTERNAL in the caller's own protocol. Its text goes
//! to the log through the panic hook (`telemetry`), never to the client.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Handler, Middleware, Next};
use crate::error::{Error, Kind};
use crate::transport::protocol::Call;
use crate::transport::{Request, Response};

/// See the module.
pub struct CatchPanic;

impl Middleware for CatchPanic {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        let call = Call::of(&request);
        match CatchUnwind(Box::pin(next.run(request))).await {
            Some(response) => response,
            None => call.refuse(Error::new(Kind::Internal, "internal error")),
        }
    }
}

/// Resolves to `None` when the inner future panics.
struct CatchUnwind<T>(Pin<Box<dyn Future<Output = T> + Send>>);

impl<T> Future for CatchUnwind<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        // The future is dropped right after a panic, so nothing sees what the
        // unwinding may have left half done.
        let poll = AssertUnwindSafe(|| self.0.as_mut().poll(cx));
        match std::panic::catch_unwind(poll) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    }
}
