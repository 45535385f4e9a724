//! Reads on where a handler stopped reading a request.
//!
//! When an answer comes before the body's end, hyper closes the connection
//! (HTTP/1) or resets the stream (HTTP/2), and a client that is still sending may
//! meet that before it has read why.

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

use super::load::{Anonymous, Callers, Permit};
use super::{Handler, Middleware, Next};
use crate::domain::Network;
use crate::transport::protocol::CallInfo;
use crate::transport::{Request, Response};

/// Bytes read on at most.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Time spent at most.
const MAX_TIME: Duration = Duration::from_secs(2);

/// Bodies read on at a time: so many of callers with a valid credential, as many of
/// others, and of those a quarter for each client network. A body beyond that is dropped.
const MAX_BODIES: usize = 256;

/// See the module.
pub struct Drain(Arc<Places>);

struct Places {
    callers: Callers,
    others: Anonymous,
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

impl Drain {
    /// Reads none yet.
    pub fn new() -> Self {
        Self::with_places(MAX_BODIES)
    }

    fn with_places(max: usize) -> Self {
        Self(Arc::new(Places { callers: Callers::new(max), others: Anonymous::new(max) }))
    }
}

impl Middleware for Drain {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        if request.body().is_end_stream() {
            return next.run(request).await;
        }
        let waits = answers_after(&request);
        let reader = Reader {
            places: Arc::clone(&self.0),
            call: CallInfo::of(&request),
            network: request.extensions().get().copied(),
        };
        let reader = Arc::new(reader);
        let (left, mut rest) = oneshot::channel();
        let left = Some((left, Arc::clone(&reader)));
        let request = request.map(|body| Body::new(Drained { body: Some(body), left }));
        let response = next.run(request).await;
        if let Ok(body) = rest.try_recv()
            && let Some(reading) = reader.read_on(body)
        {
            if waits {
                reading.await;
            } else {
                tokio::spawn(reading);
            }
        }
        response
    }
}

/// Reads on what is left of one request.
struct Reader {
    places: Arc<Places>,
    call: Arc<CallInfo>,
    network: Option<Network>,
}

impl Reader {
    /// Reads the body if there is a place for it. Its end, an error and the bounds all
    /// end that; none of them matters to anybody.
    fn read_on(&self, body: Body) -> Option<impl Future<Output = ()> + Send + 'static> {
        let place = self.place()?;
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
            drop(place);
        })
    }

    fn place(&self) -> Option<Permit> {
        match self.call.observed.caller() {
            Some(_) => self.places.callers.take(),
            None => self.places.others.take(self.network),
        }
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
    left: Option<(oneshot::Sender<Body>, Arc<Reader>)>,
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
        let (Some(body), Some((left, reader))) = (body, self.left.take()) else {
            return;
        };
        // Dropped only after the answer's head went out: nobody waits any more.
        if let Err(body) = left.send(body)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
            && let Some(reading) = reader.read_on(body)
        {
            runtime.spawn(reading);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::layers::around;
    use std::convert::Infallible;
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
        let (before, read) = read_with(MAX_BODIES, version, says_its_size).await;
        // In the end it is read in any case.
        while read.load(Ordering::SeqCst) < 11 {
            tokio::task::yield_now().await;
        }
        before
    }

    /// The same, and the count as it goes on, where so many may be read on at a time.
    async fn read_with(
        places: usize,
        version: Version,
        says_its_size: bool,
    ) -> (usize, Arc<AtomicUsize>) {
        let read = Arc::new(AtomicUsize::new(0));
        let body = Chunks { read: Arc::clone(&read), says_its_size };
        let mut request = Request::new(Body::new(body));
        *request.version_mut() = version;
        let refuse = service_fn(async |_: Request| Ok(Response::new(Body::empty())));
        let answer: Result<_, Infallible> =
            around(Drain::with_places(places)).layer(refuse).oneshot(request).await;
        assert!(answer.is_ok());

        (read.load(Ordering::SeqCst), read)
    }

    #[tokio::test]
    async fn a_refused_body_is_read_on() {
        assert_eq!(read_before_the_answer(Version::HTTP_2, true).await, 11);
        assert_eq!(read_before_the_answer(Version::HTTP_2, false).await, 0);
        assert_eq!(read_before_the_answer(Version::HTTP_11, true).await, 0);
    }

    #[tokio::test]
    async fn p41_without_a_place_nobody_waits_for_a_body() {
        for version in [Version::HTTP_2, Version::HTTP_11] {
            let (before, read) = read_with(0, version, true).await;
            assert_eq!((before, Arc::strong_count(&read)), (0, 1), "the body is dropped");
        }
    }
}
