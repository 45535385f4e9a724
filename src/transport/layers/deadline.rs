//! Limits the time of a request: to the client's deadline, or to that of the settings if this is
//! earlier.
//!
//! The deadline of the settings applies until the head of the response; a streaming response
//! continues until the client's own deadline. A malformed timeout is INVALID_ARGUMENT: a client
//! must not rely on a deadline that the server ignores.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body as HttpBody, Frame};
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;

use crate::transport::body::{Adapt, PollFrame, adapted};
use crate::transport::call::{CallInfo, method_of};
use crate::transport::middleware::{Handler, Middleware, Next};
use crate::transport::protocol::{timeout, trailers};
use crate::transport::refuse::{refuse, refuse_with};
use crate::transport::{Request, Response};

pub struct Deadline {
    max: Duration,
}

/// The deadline of a streaming response; in the extensions of requests whose client sends one.
#[derive(Debug, Clone, Copy)]
struct StreamDeadline(Instant);

impl Deadline {
    /// Allows every request at most `max`.
    pub fn new(max: Duration) -> Self {
        Self { max }
    }
}

impl Middleware for Deadline {
    async fn handle<S: Handler>(&self, mut request: Request, next: Next<S>) -> Response {
        let call = CallInfo::of(&request);
        let requested = match timeout::requested(call.protocol, request.headers()) {
            Ok(requested) => requested,
            Err(error) => return refuse(&call, error),
        };
        let allowed = requested.map_or(self.max, |requested| requested.min(self.max));
        // `timeout` polls the future before the clock: without this check an expired call could
        // still change something.
        if allowed.is_zero() {
            return refuse_with(&call, &expired());
        }
        if let Some(deadline) = requested.and_then(|time| Instant::now().checked_add(time))
            && method_of(&request).is_some_and(|method| method.is_server_streaming())
        {
            request.extensions_mut().insert(StreamDeadline(deadline));
        }
        let response = tokio::time::timeout(allowed, next.run(request));
        response.await.unwrap_or_else(|_| refuse_with(&call, &expired()))
    }
}

/// This status has no details, like every error that comes from a protocol and not from an
/// operation.
fn expired() -> Status {
    Status::deadline_exceeded("the time for this request ran out")
}

/// The deadline of the streaming response to this request, if the client sends one.
pub fn stream_deadline(request: &Request) -> Option<Instant> {
    request.extensions().get::<StreamDeadline>().map(|deadline| deadline.0)
}

/// Ends a gRPC body at the deadline. The translators then write the status in the protocol of the
/// client.
pub fn until(deadline: Instant, body: Body) -> Body {
    adapted(body, Until(Box::pin(tokio::time::sleep_until(deadline))))
}

struct Until(Pin<Box<Sleep>>);

impl Adapt for Until {
    fn poll_frame(&mut self, body: &mut Body, cx: &mut Context<'_>) -> PollFrame {
        if body.is_end_stream() {
            return Poll::Ready(None);
        }
        // Checked before the body is polled: the body may always have another frame ready.
        if self.0.as_mut().poll(cx).is_ready() {
            *body = Body::empty();
            return Poll::Ready(Some(Ok(Frame::trailers(trailers(&expired())))));
        }
        Pin::new(body).poll_frame(cx)
    }
}
