//! Reads on where a handler stopped reading an HTTP/1 request.
//!
//! When an answer comes before the body's end, hyper closes the connection, and a
//! client that is still sending may meet the reset before it has read why. HTTP/2
//! has a frame for that and needs nothing.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::Version;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use tonic::Status;
use tonic::body::Body;

use super::{Handler, Middleware, Next};
use crate::transport::{Request, Response};

/// Bytes read on at most.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Time spent at most.
const MAX_TIME: Duration = Duration::from_secs(2);

/// See the module.
pub struct Drain;

impl Middleware for Drain {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        if request.version() >= Version::HTTP_2 {
            return next.run(request).await;
        }
        next.run(request.map(|body| Body::new(Drained(Some(body))))).await
    }
}

/// A body that is read on when it is dropped early.
struct Drained(Option<Body>);

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let Some(body) = self.0.take().filter(|body| !body.is_end_stream()) else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(tokio::time::timeout(MAX_TIME, read_on(body)));
    }
}

async fn read_on(body: Body) {
    let mut body = Limited::new(body, MAX_BYTES);
    // Its end, an error and the limit all end it: nobody waits for the rest.
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(mut data) = frame.into_data() {
            data.advance(data.remaining());
        }
    }
}
