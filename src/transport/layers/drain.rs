//! Reads on where a handler stopped reading a request.
//!
//! When an answer comes before the body's end, hyper closes the connection
//! (HTTP/1) or resets the stream (HTTP/2), and a client that is still sending may
//! meet that before it has read why.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::Version;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use tokio::sync::oneshot;
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
        if request.body().is_end_stream() {
            return next.run(request).await;
        }
        let waits = answers_after(&request);
        let (left, mut rest) = oneshot::channel();
        let request = request.map(|body| Body::new(Drained { body: Some(body), left: Some(left) }));
        let response = next.run(request).await;
        if let Ok(body) = rest.try_recv() {
            if waits {
                read_on(body).await;
            } else {
                tokio::spawn(read_on(body));
            }
        }
        response
    }
}

/// Whether the answer waits until the body has been read. There are HTTP/2 clients
/// that miss an answer while they send; those of a known end are let finish. gRPC's
/// own do not say how much they send, and take an early answer well.
fn answers_after(request: &Request) -> bool {
    let end = request.body().size_hint().exact();
    request.version() == Version::HTTP_2 && end.is_some_and(|bytes| bytes <= MAX_BYTES as u64)
}

/// A body that hands over what is left of it when it is dropped early.
struct Drained {
    body: Option<Body>,
    left: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let body = self.body.take().filter(|body| !body.is_end_stream());
        let (Some(body), Some(left)) = (body, self.left.take()) else {
            return;
        };
        // Dropped only after the answer's head went out: nobody waits any more.
        if let Err(body) = left.send(body)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(read_on(body));
        }
    }
}

/// Its end, an error and the bounds all end it; none of them matters to anybody.
async fn read_on(body: Body) {
    let mut body = Limited::new(body, MAX_BYTES);
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(mut data) = frame.into_data() {
                data.advance(data.remaining());
            }
        }
    };
    tokio::time::timeout(MAX_TIME, read).await.unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::layers::around;
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tower::{Layer, ServiceExt, service_fn};

    /// Ten chunks of a kilobyte; counts those that were read.
    struct Chunks {
        read: Arc<AtomicUsize>,
        says_its_size: bool,
    }

    impl HttpBody for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let chunk = Bytes::from_static(&[0; 1024]);
            let is_left = self.read.fetch_add(1, Ordering::SeqCst) < 10;
            Poll::Ready(is_left.then_some(Ok(Frame::data(chunk))))
        }

        fn size_hint(&self) -> SizeHint {
            if self.says_its_size { SizeHint::with_exact(10 * 1024) } else { SizeHint::default() }
        }
    }

    /// How much had been read when the answer to an unread request came.
    async fn read_before_the_answer(version: Version, says_its_size: bool) -> usize {
        let read = Arc::new(AtomicUsize::new(0));
        let body = Chunks { read: Arc::clone(&read), says_its_size };
        let mut request = Request::new(Body::new(body));
        *request.version_mut() = version;
        let refuse = service_fn(async |_: Request| Ok(Response::new(Body::empty())));
        let answer: Result<_, Infallible> = around(Drain).layer(refuse).oneshot(request).await;
        assert!(answer.is_ok());

        let before = read.load(Ordering::SeqCst);
        // In the end it is read in any case.
        while read.load(Ordering::SeqCst) < 11 {
            tokio::task::yield_now().await;
        }
        before
    }

    #[tokio::test]
    async fn a_refused_body_is_read_on() {
        assert_eq!(read_before_the_answer(Version::HTTP_2, true).await, 11);
        assert_eq!(read_before_the_answer(Version::HTTP_2, false).await, 0);
        assert_eq!(read_before_the_answer(Version::HTTP_11, true).await, 0);
    }
}
