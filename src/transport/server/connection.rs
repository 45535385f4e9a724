//! Serves one connection from its first byte to its end.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, Request, header};
use http_body::Body as HttpBody;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::body::Body;
use tower::Service;

use super::connection_limit::Access;
use super::counters::{Counters, Ending};
use super::head::{self, Head, HeadReader};
use super::lifetime::{self, ActiveRequests};
use super::reject::{self, Rejection};
use super::rewind::Rewind;
use super::tls::{self, Tls};
use super::write_timeout::{StreamExecutor, WriteTimeout, with_delivery_timeout};
use crate::config::Http;
use crate::transport::Response;
use crate::transport::peer::Peer;

/// The first bytes of every HTTP/2 connection.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// HTTP/2's flow control windows: the bytes of bodies that a peer may send before a handler reads
/// them, on one stream and on all streams of a connection. A message of 1 MiB takes eight round
/// trips.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// The bytes of a response that HTTP/2 buffers until the peer's window opens.
const MAX_SEND_BUFFER_BYTES: usize = 64 * 1024;

/// The server closes a connection after this many streams that the peer resets before they are
/// accepted, and after this many that the peer makes the server reset (CVE-2023-44487,
/// CVE-2025-8671).
const MAX_RESETS_BY_PEER: usize = 20;
const MAX_RESETS_BY_US: usize = 256;

/// After shutdown begins, a connection still accepts requests for this time, since the client may
/// have sent one already: HTTP/1 cannot announce that no more are accepted.
pub const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);

/// An HTTP service that never fails and is ready at any time.
pub trait HttpService:
    Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> HttpService for S where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Serves connections. All connections share these fields.
pub struct Connections<S> {
    service: S,
    settings: Http,
    tls: Option<Tls>,
    stopped: watch::Receiver<bool>,
    counters: Counters,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Http1,
    Http2,
}

impl<S: HttpService> Connections<S> {
    /// `stopped` becomes true when shutdown begins.
    pub fn new(
        service: S,
        settings: Http,
        tls: Option<Tls>,
        stopped: watch::Receiver<bool>,
        counters: Counters,
    ) -> Self {
        Self { service, settings, tls, stopped, counters }
    }

    /// Serves one connection to its end.
    pub async fn run<IO>(&self, stream: IO, peer: Peer, access: Access)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = WriteTimeout::new(stream, self.settings.write_timeout);
        let Some(tls) = &self.tls else {
            return self.serve(stream, None, peer, access).await;
        };
        // Boxed: the future is large, and unused for most of the connection's life.
        let accept = Box::pin(tls.accept(stream));
        let handshake = tokio::select! {
            () = grace_passed(self.stopped.clone()) => return,
            result = tokio::time::timeout(self.settings.handshake_timeout, accept) => result,
        };
        match handshake {
            Ok(Ok(stream)) => {
                let version = match stream.get_ref().1.alpn_protocol() {
                    Some(tls::H2) => Version::Http2,
                    _ => Version::Http1,
                };
                Box::pin(self.serve(stream, Some(version), peer, access)).await;
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "the TLS handshake failed; closing the connection")
            }
            Err(_) => tracing::debug!("the TLS handshake took too long; closing the connection"),
        }
    }

    /// Serves HTTP: over TLS in the version `negotiated` by ALPN, otherwise in the version of the
    /// first bytes.
    async fn serve<IO>(
        &self,
        mut stream: IO,
        negotiated: Option<Version>,
        peer: Peer,
        access: Access,
    ) where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let first_byte_timeout = self.settings.first_byte_timeout;
        let first_bytes = tokio::select! {
            () = grace_passed(self.stopped.clone()) => return,
            result = tokio::time::timeout(first_byte_timeout, read_version(&mut stream)) => result,
        };
        let (version, front) = match first_bytes {
            // The parser of the negotiated version rejects bytes of the other one.
            Ok(Ok((read, front))) => (negotiated.unwrap_or(read), front),
            Ok(Err(error)) => {
                tracing::debug!(%error, "reading the first request failed; closing the connection");
                return;
            }
            Err(_) => {
                tracing::debug!(
                    "the client sent nothing within the time-out; closing the connection"
                );
                return;
            }
        };

        let stream = Rewind::new(front, stream);
        let ended = match version {
            Version::Http1 => self.serve_http1(stream, peer, access).await,
            Version::Http2 => self.serve_http2(stream, peer, access).await,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "the connection failed; closing it");
        }
    }

    async fn serve_http1<IO>(&self, stream: IO, peer: Peer, access: Access) -> hyper::Result<()>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let bytes = max_head_bytes(&self.settings);
        let bounds = head::Bounds {
            idle: self.settings.http1_idle_timeout,
            arrival: self.settings.head_timeout,
            bytes,
        };
        let head = Head::new(bounds);
        let mut builder = http1::Builder::new();
        builder
            .timer(head.clone())
            // `head` decides how long the timer runs.
            .header_read_timeout(bounds.idle)
            // One byte more than `head` passes on, so that `head` rejects a larger request before
            // hyper does: hyper's response has no text.
            .max_buf_size(bytes + 1)
            .keep_alive(access == Access::Full);
        let end = lifetime::end(self.settings.max_connection_age);
        let grace = self.settings.drain_timeout;

        let mut stream = TokioIo::new(HeadReader::new(stream, head.clone()));
        let service = service_fn(|mut request: Request<Incoming>| {
            head.complete();
            request.extensions_mut().insert(peer.clone());
            // A response is the last one of its connection if it rejects the request, if shutdown
            // has begun, or if the connection has reached its maximum age.
            let stopped = self.stopped.clone();
            let rejection = reject::check(&request, access, bytes);
            let is_last = move || {
                rejection.is_some()
                    || *stopped.borrow()
                    || end.is_some_and(|end| Instant::now() >= end)
            };
            let response = self.respond(request, rejection, &peer);
            async move {
                let mut response = response.await?;
                if is_last() {
                    response.headers_mut().insert(header::CONNECTION, reject::CLOSE);
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = builder.serve_connection(&mut stream, service);
        let stop = async {
            tokio::select! {
                () = grace_passed(self.stopped.clone()) => Ending::Stop,
                // After a grace period, since a request that arrives between `end` and this time
                // gets `connection: close` in its response.
                () = lifetime::reached(end.map(|end| end + grace)) => Ending::Age,
            }
        };
        let graceful_shutdown = |connection: Pin<&mut _>| {
            peer.ending.cancel();
            http1::Connection::graceful_shutdown(connection);
        };
        let ended = self.drive(connection, stop, graceful_shutdown).await;
        let Err(error) = ended else { return Ok(()) };
        if head.is_too_large() {
            reject::log(&peer, reject::HEAD_TOO_LARGE);
            reject::send_last(stream.inner_mut(), reject::HEAD_TOO_LARGE).await;
        } else if error.is_parse_too_large() {
            reject::log(&peer, reject::TOO_MANY_HEADERS);
        } else if error.is_timeout() && head.is_awaited() {
            self.counters.ended(Ending::Idle);
            return Ok(());
        }
        Err(error)
    }

    async fn serve_http2<IO>(&self, stream: IO, peer: Peer, access: Access) -> hyper::Result<()>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let settings = &self.settings;
        let requests = ActiveRequests::new();
        let executor =
            StreamExecutor { timeout: settings.write_timeout, requests: requests.clone() };
        let mut builder = http2::Builder::new(executor);
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(settings.max_streams)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(MAX_SEND_BUFFER_BYTES)
            .max_pending_accept_reset_streams(MAX_RESETS_BY_PEER)
            .max_local_error_reset_streams(MAX_RESETS_BY_US)
            // Larger than the limit, so that `reject` can send a response.
            .max_header_list_size(settings.max_header_bytes.saturating_mul(2))
            // Closes the connection of a peer that is silent, or that stops inside a header block,
            // where it cannot answer a ping.
            .keep_alive_interval(settings.keep_alive_interval)
            .keep_alive_timeout(settings.keep_alive_timeout);

        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            let is_head = request.method() == Method::HEAD;
            let rejection = reject::check(&request, access, max_head_bytes(settings));
            let response = self.respond(request, rejection, &peer);
            async move {
                let response = response.await?;
                let response = if is_head {
                    without_body(response)
                } else {
                    response.map(with_delivery_timeout)
                };
                Ok::<_, Infallible>(response)
            }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let end = lifetime::end(settings.max_connection_age);
        let stop = async {
            tokio::select! {
                () = stopped(self.stopped.clone()) => Ending::Stop,
                ending = requests.ending(settings.http2_idle_timeout, end) => ending,
            }
        };
        let graceful_shutdown = |connection: Pin<&mut _>| {
            peer.ending.cancel();
            http2::Connection::graceful_shutdown(connection);
        };
        self.drive(connection, stop, graceful_shutdown).await
    }

    /// The response of the service, or that of a rejection.
    fn respond(
        &self,
        request: Request<Incoming>,
        rejection: Option<Rejection>,
        peer: &Peer,
    ) -> impl Future<Output = Result<Response, Infallible>> + Send + use<S> {
        // Called here and not in the future, so that the future, which hyper moves, does not
        // contain the request.
        let response = match rejection {
            None => Ok(self.service.clone().call(request)),
            Some(rejection) => {
                reject::log(peer, rejection);
                Err(rejection.response())
            }
        };
        async move {
            match response {
                Ok(response) => response.await,
                Err(rejected) => Ok(rejected),
            }
        }
    }

    /// Runs a connection. After `stop` it accepts no more requests and finishes running ones.
    async fn drive<C>(
        &self,
        connection: C,
        stop: impl Future<Output = Ending>,
        graceful_shutdown: impl FnOnce(Pin<&mut C>),
    ) -> hyper::Result<()>
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut connection = std::pin::pin!(connection);
        let ending = tokio::select! {
            ended = connection.as_mut() => return ended,
            ending = stop => ending,
        };
        graceful_shutdown(connection.as_mut());
        if ending == Ending::Stop {
            // `super::serve` limits the time of shutdown.
            return connection.await;
        }
        self.counters.ended(ending);
        let grace = self.settings.drain_timeout;
        tokio::time::timeout(grace, connection).await.unwrap_or_else(|_| {
            tracing::debug!(
                ?ending,
                "the drain timeout has passed: closing a connection with running requests"
            );
            Ok(())
        })
    }
}

/// The maximum size of a request's head.
fn max_head_bytes(settings: &Http) -> usize {
    usize::try_from(settings.max_header_bytes).unwrap_or(usize::MAX)
}

/// The response to HEAD over HTTP/2, where hyper would send the body and break the stream. Over
/// HTTP/1 hyper leaves the body out itself.
fn without_body(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers.entry(header::CONTENT_LENGTH).or_insert(length.into());
    }
    Response::from_parts(head, Body::empty())
}

/// Reads until the bytes show whether the version is HTTP/1 or HTTP/2. It does not peek: if the
/// peer stops inside the preface, a peek would return the same bytes at once, again and again.
async fn read_version(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Version, Bytes)> {
    let mut front = BytesMut::with_capacity(PREFACE.len());
    while front.len() < PREFACE.len() {
        // Limited to the missing bytes: nothing beyond the preface is read.
        let missing = PREFACE.len() - front.len();
        let mut limited = (&mut *stream).take(missing as u64);
        if limited.read_buf(&mut front).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !PREFACE.starts_with(&front) {
            return Ok((Version::Http1, front.freeze()));
        }
    }
    Ok((Version::Http2, front.freeze()))
}

/// Resolves when shutdown begins.
async fn stopped(mut stopped: watch::Receiver<bool>) {
    // An error means that the server has ended and dropped the sender.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Resolves when `SHUTDOWN_GRACE` has passed since shutdown began.
async fn grace_passed(receiver: watch::Receiver<bool>) {
    stopped(receiver).await;
    tokio::time::sleep(SHUTDOWN_GRACE).await;
}
