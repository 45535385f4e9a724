//! A bound on requests running at a time. Over it the answer comes at once:
//! RESOURCE_EXHAUSTED with the advice to come back.
//!
//! A request runs until its answer has been taken: what it holds, it holds so long.
//! Methods that take callers without a credential have a bound of their own: who
//! sends half a message to them, or never reads, must not hold up the others.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;

use super::authenticate::Access;
use super::{Handler, Middleware, Next};
use crate::error::{Error, Kind, reason};
use crate::transport::protocol::Call;
use crate::transport::{Request, Response};

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// See the module.
pub struct Load {
    access: Access,
    of_strangers: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

impl Load {
    /// Lets `max` requests run at a time, and as many of methods that `access` opens
    /// to strangers.
    pub fn new(max: usize, access: Access) -> Self {
        let pool = || Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        Self { access, of_strangers: pool(), others: pool() }
    }
}

impl Middleware for Load {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        let path = request.uri().path();
        let pool = if self.access.is_open(path) { &self.of_strangers } else { &self.others };
        let Ok(running) = Arc::clone(pool).try_acquire_owned() else {
            let error = Error::new(Kind::ResourceExhausted, "the server is busy; try again later")
                .with_reason(reason::OVERLOADED)
                .with_retry_after(RETRY_AFTER);
            return Call::of(&request).refuse(error);
        };
        let response = next.run(request).await;
        if response.body().is_end_stream() {
            return response;
        }
        response.map(|body| Body::new(Running { body, _running: running }))
    }
}

/// An answer that is still being given.
struct Running {
    body: Body,
    _running: OwnedSemaphorePermit,
}

impl HttpBody for Running {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
