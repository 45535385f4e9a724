//! Reads the rest of a request body that a handler did not read.
//!
//! If the response comes before the end of the body, hyper closes the connection (HTTP/1) or resets
//! the stream (HTTP/2). A client that is still sending may see that before it reads the response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::Version;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use tokio::sync::oneshot;
use tonic::Status;
use tonic::body::Body;

use super::concurrency_limit::{AnonymousLimit, CallerLimit, Permit};
use crate::domain::Network;
use crate::transport::call::CallInfo;
use crate::transport::middleware::{Handler, Middleware, Next};
use crate::transport::{Request, Response};

/// The rest of a body is read up to this size.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The rest of a body is read for this time at most.
const MAX_TIME: Duration = Duration::from_secs(2);

/// The maximum number of bodies that are drained at the same time for authenticated callers, and
/// also the maximum for all other callers. One client network gets a quarter of the second limit.
/// Further bodies are dropped.
const MAX_BODIES: usize = 256;

pub struct DrainRequestBody(Arc<Limits>);

struct Limits {
    callers: CallerLimit,
    others: AnonymousLimit,
}

impl Default for DrainRequestBody {
    fn default() -> Self {
        Self::new()
    }
}

impl DrainRequestBody {
    pub fn new() -> Self {
        Self::with_limit(MAX_BODIES)
    }

    fn with_limit(max: usize) -> Self {
        Self(Arc::new(Limits { callers: CallerLimit::new(max), others: AnonymousLimit::new(max) }))
    }
}

impl Middleware for DrainRequestBody {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        if request.body().is_end_stream() {
            return next.run(request).await;
        }
        let waits = responds_after_body(&request);
        let drainer = Drainer {
            limits: Arc::clone(&self.0),
            call: CallInfo::of(&request),
            network: request.extensions().get().copied(),
        };
        let drainer = Arc::new(drainer);
        let (hand_over, mut rest) = oneshot::channel();
        let hand_over = Some((hand_over, Arc::clone(&drainer)));
        let request = request.map(|body| Body::new(RequestBody { body: Some(body), hand_over }));
        let response = next.run(request).await;
        if let Ok(body) = rest.try_recv()
            && let Some(draining) = drainer.drain(body)
        {
            if waits {
                draining.await;
            } else {
                tokio::spawn(draining);
            }
        }
        response
    }
}

/// Drains the body of one request.
struct Drainer {
    limits: Arc<Limits>,
    call: Arc<CallInfo>,
    network: Option<Network>,
}

impl Drainer {
    /// Reads the body if the limit allows it, until its end, an error, [`MAX_BYTES`] or
    /// [`MAX_TIME`]. The response does not depend on which of these ends the reading.
    fn drain(&self, body: Body) -> Option<impl Future<Output = ()> + Send + 'static> {
        let permit = self.try_acquire()?;
        let mut body = Limited::new(body, MAX_BYTES);
        Some(async move {
            let read = async {
                while let Some(Ok(frame)) = body.frame().await {
                    if let Ok(mut data) = frame.into_data() {
                        data.advance(data.remaining());
                    }
                }
            };
            tokio::time::timeout(MAX_TIME, read).await.unwrap_or_default();
            drop(permit);
        })
    }

    fn try_acquire(&self) -> Option<Permit> {
        match self.call.outcome.caller() {
            Some(_) => self.limits.callers.try_acquire(),
            None => self.limits.others.try_acquire(self.network),
        }
    }
}

/// Whether the response waits until the body is drained. Some HTTP/2 clients miss a response that
/// arrives while they send, so the server first reads a body of known length. gRPC clients send no
/// length, and accept an early response.
fn responds_after_body(request: &Request) -> bool {
    let length = request.body().size_hint().exact();
    request.version() == Version::HTTP_2 && length.is_some_and(|bytes| bytes <= MAX_BYTES as u64)
}

/// A body that is handed over for draining when it is dropped before its end.
struct RequestBody {
    body: Option<Body>,
    hand_over: Option<(oneshot::Sender<Body>, Arc<Drainer>)>,
}

impl HttpBody for RequestBody {
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

impl Drop for RequestBody {
    fn drop(&mut self) {
        let body = self.body.take().filter(|body| !body.is_end_stream());
        let (Some(body), Some((hand_over, drainer))) = (body, self.hand_over.take()) else {
            return;
        };
        // `send` fails if the middleware has returned the response: then no response waits for the
        // body, and it is drained in the background.
        if let Err(body) = hand_over.send(body)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
            && let Some(draining) = drainer.drain(body)
        {
            runtime.spawn(draining);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::middleware::around;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tower::{Layer, ServiceExt, service_fn};

    /// Ten chunks of 1 KiB each; counts the reads, including the one that returns the end.
    struct Chunks {
        read: Arc<AtomicUsize>,
        has_known_size: bool,
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
            if self.has_known_size { SizeHint::with_exact(10 * 1024) } else { SizeHint::default() }
        }
    }

    /// The number of reads before the response to an unread request.
    async fn reads_before_the_response(version: Version, has_known_size: bool) -> usize {
        let (before, read) = read_with(MAX_BODIES, version, has_known_size).await;
        // The body is drained in any case.
        while read.load(Ordering::SeqCst) < 11 {
            tokio::task::yield_now().await;
        }
        before
    }

    /// The number of reads before the response, and the counter of reads. At most `max` bodies are
    /// drained at the same time.
    async fn read_with(
        max: usize,
        version: Version,
        has_known_size: bool,
    ) -> (usize, Arc<AtomicUsize>) {
        let read = Arc::new(AtomicUsize::new(0));
        let body = Chunks { read: Arc::clone(&read), has_known_size };
        let mut request = Request::new(Body::new(body));
        *request.version_mut() = version;
        let refuse = service_fn(async |_: Request| Ok(Response::new(Body::empty())));
        let response: Result<_, Infallible> =
            around(DrainRequestBody::with_limit(max)).layer(refuse).oneshot(request).await;
        assert!(response.is_ok());

        (read.load(Ordering::SeqCst), read)
    }

    #[tokio::test]
    async fn an_unread_body_is_drained() {
        assert_eq!(reads_before_the_response(Version::HTTP_2, true).await, 11);
        assert_eq!(reads_before_the_response(Version::HTTP_2, false).await, 0);
        assert_eq!(reads_before_the_response(Version::HTTP_11, true).await, 0);
    }

    #[tokio::test]
    async fn p41_above_the_limit_a_body_is_dropped() {
        for version in [Version::HTTP_2, Version::HTTP_11] {
            let (before, read) = read_with(0, version, true).await;
            assert_eq!((before, Arc::strong_count(&read)), (0, 1), "the body is dropped");
        }
    }
}
