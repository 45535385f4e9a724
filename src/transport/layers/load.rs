//! A bound on requests running at a time. Over it the answer comes at once:
//! RESOURCE_EXHAUSTED with the advice to come back.

use std::time::Duration;

use tokio::sync::Semaphore;

use super::{Handler, Middleware, Next};
use crate::error::{Error, Kind, reason};
use crate::transport::protocol::Call;
use crate::transport::{Request, Response};

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// See the module.
pub struct Load(Semaphore);

impl Load {
    /// Lets `max` requests run at a time.
    pub fn new(max: usize) -> Self {
        Self(Semaphore::new(max.min(Semaphore::MAX_PERMITS)))
    }
}

impl Middleware for Load {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        let Ok(_running) = self.0.try_acquire() else {
            let error = Error::new(Kind::ResourceExhausted, "the server is busy; try again later")
                .with_reason(reason::OVERLOADED)
                .with_retry_after(RETRY_AFTER);
            return Call::of(&request).refuse(error);
        };
        next.run(request).await
    }
}
