//! One connection, from its first byte to its end.

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

use super::counters::{Counters, Ending};
use super::head::{self, Head, HeadReader};
use super::lifetime::{self, Requests};
use super::places::Access;
use super::refusal::{self, Refused};
use super::rewind::Rewind;
use super::taking::{Streams, Taking, watched};
use super::tls::{self, Tls};
use super::{Answer, Peer};
use crate::config::Http;
use crate::transport::Response;

/// How every HTTP/2 connection begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a peer may send of a body before somebody reads it: on one HTTP/2 stream, and
/// on all of a connection together. A message of 1 MiB takes eight round trips.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// What HTTP/2 keeps of an answer before its peer's window opens, in bytes.
const MAX_SEND_BUFFER: usize = 64 * 1024;

/// Streams that a peer resets before they are looked at, and those it makes us reset,
/// before its connection is closed (CVE-2023-44487, CVE-2025-8671).
const MAX_RESETS_BY_PEER: usize = 20;
const MAX_RESETS_BY_US: usize = 256;

/// How long a connection may still begin a request after the end was asked for.
/// One may be on its way: HTTP/1 has no word to say "no more" before it comes.
pub const LINGER: Duration = Duration::from_millis(500);

/// What every connection is served with.
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

impl<S: Answer> Connections<S> {
    /// `stopped` turns true when the server is to end.
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
        let stream = Taking::new(stream, self.settings.write_timeout);
        let Some(tls) = &self.tls else {
            return self.serve(stream, None, peer, access).await;
        };
        let handshake_timeout = self.settings.handshake_timeout;
        let shaken = tokio::select! {
            () = lingered(self.stopped.clone()) => return,
            // Boxed: large, and gone before most of a connection's life.
            shaken = tokio::time::timeout(handshake_timeout, Box::pin(tls.accept(stream))) => shaken,
        };
        match shaken {
            Ok(Ok(stream)) => {
                let version = match stream.get_ref().1.alpn_protocol() {
                    Some(tls::H2) => Version::Http2,
                    _ => Version::Http1,
                };
                Box::pin(self.serve(stream, Some(version), peer, access)).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    /// Serves HTTP in the version that was agreed on; without one, the first bytes
    /// tell.
    async fn serve<IO>(&self, mut stream: IO, agreed: Option<Version>, peer: Peer, access: Access)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let first_byte_timeout = self.settings.first_byte_timeout;
        let begun = tokio::select! {
            () = lingered(self.stopped.clone()) => return,
            begun = tokio::time::timeout(first_byte_timeout, begin(&mut stream)) => begun,
        };
        let (version, front) = match begun {
            // Bytes of another version than the agreed one are refused by its parser.
            Ok(Ok((told, front))) => (agreed.unwrap_or(told), front),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a connection ended before its first request");
                return;
            }
            Err(_) => {
                tracing::debug!("a connection was silent for too long");
                return;
            }
        };

        let stream = Rewind::new(front, stream);
        let ended = match version {
            Version::Http1 => self.serve_http1(stream, peer, access).await,
            Version::Http2 => self.serve_http2(stream, peer, access).await,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke");
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
            // How long, `head` decides.
            .header_read_timeout(bounds.idle)
            // One more than `head` hands on, which refuses with words.
            .max_buf_size(bytes + 1)
            .keep_alive(access == Access::Full);
        let end = lifetime::end(self.settings.max_connection_age);
        let grace = self.settings.drain_timeout;

        let mut stream = TokioIo::new(HeadReader::new(stream, head.clone()));
        let service = service_fn(|mut request: Request<Incoming>| {
            head.complete();
            request.extensions_mut().insert(peer.clone());
            // Near the end, an answer is its connection's last.
            let stopped = self.stopped.clone();
            let refused = refusal::of(&request, access, bytes);
            let is_last = move || {
                refused.is_some()
                    || *stopped.borrow()
                    || end.is_some_and(|end| Instant::now() >= end)
            };
            let answer = self.answer(request, refused, &peer);
            async move {
                let mut response = answer.await?;
                if is_last() {
                    response.headers_mut().insert(header::CONNECTION, refusal::CLOSE);
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = builder.serve_connection(&mut stream, service);
        let stop = async {
            tokio::select! {
                () = lingered(self.stopped.clone()) => Ending::Stop,
                // A request that arrives before that gets `connection: close` with its answer.
                () = lifetime::reached(end.map(|end| end + grace)) => Ending::Age,
            }
        };
        let ended = self.drive(connection, stop, http1::Connection::graceful_shutdown).await;
        let Err(error) = ended else { return Ok(()) };
        if head.is_too_large() {
            refusal::tell(&peer, refusal::HEAD_TOO_LARGE);
            refusal::send_last(stream.inner_mut(), refusal::HEAD_TOO_LARGE).await;
        } else if error.is_parse_too_large() {
            refusal::tell(&peer, refusal::TOO_MANY_HEADERS);
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
        let requests = Requests::none();
        let streams = Streams { bound: settings.write_timeout, requests: requests.clone() };
        let mut builder = http2::Builder::new(streams);
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(settings.max_streams)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(MAX_SEND_BUFFER)
            .max_pending_accept_reset_streams(MAX_RESETS_BY_PEER)
            .max_local_error_reset_streams(MAX_RESETS_BY_US)
            // Lists up to this size come here, to be refused with words.
            .max_header_list_size(settings.max_header_bytes.saturating_mul(2))
            // Ends silent peers and those that stop inside a header block, where
            // a ping cannot be answered.
            .keep_alive_interval(settings.keep_alive_interval)
            .keep_alive_timeout(settings.keep_alive_timeout);

        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            let is_head = request.method() == Method::HEAD;
            let refused = refusal::of(&request, access, max_head_bytes(settings));
            let answer = self.answer(request, refused, &peer);
            async move {
                let response = answer.await?;
                let response = if is_head { without_body(response) } else { response.map(watched) };
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
        self.drive(connection, stop, http2::Connection::graceful_shutdown).await
    }

    /// The answer to a request, which is the service's unless it is refused.
    fn answer(
        &self,
        request: Request<Incoming>,
        refused: Option<Refused>,
        peer: &Peer,
    ) -> impl Future<Output = Result<Response, Infallible>> + Send + use<S> {
        // Called here and only awaited there, since hyper moves the future about: it
        // should not have the request in it.
        let answer = match refused {
            None => Ok(self.service.clone().call(request)),
            Some(refused) => {
                refusal::tell(peer, refused);
                Err(refused.response())
            }
        };
        async move {
            match answer {
                Ok(answer) => answer.await,
                Err(refused) => Ok(refused),
            }
        }
    }

    /// Drives a connection; when it is to end, it finishes what runs and takes no
    /// more.
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
            // The server bounds all that runs at its end.
            return connection.await;
        }
        self.counters.ended(ending);
        let grace = self.settings.drain_timeout;
        tokio::time::timeout(grace, connection).await.unwrap_or_else(|_| {
            tracing::debug!(?ending, "a connection was cut off with requests running");
            Ok(())
        })
    }
}

/// The greatest size of a request's head.
fn max_head_bytes(settings: &Http) -> usize {
    usize::try_from(settings.max_header_bytes).unwrap_or(usize::MAX)
}

/// An answer to HEAD. Over HTTP/1 hyper itself leaves the body out; over HTTP/2 it
/// would send it, which breaks the stream.
fn without_body(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers.entry(header::CONTENT_LENGTH).or_insert(length.into());
    }
    Response::from_parts(head, Body::empty())
}

/// Reads as far as it takes to tell HTTP/2 from HTTP/1. An explicit read rather
/// than a peek: a peer that stops inside the preface neither spins nor stays
/// beyond the caller's bound.
async fn begin(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Version, Bytes)> {
    let mut front = BytesMut::with_capacity(PREFACE.len());
    while front.len() < PREFACE.len() {
        // The capacity is the preface's length: nothing beyond it is read.
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

/// Resolves when the end is asked for.
async fn stopped(mut stopped: watch::Receiver<bool>) {
    // An error means that the server itself has gone.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Resolves when no request can be on its way any more.
async fn lingered(receiver: watch::Receiver<bool>) {
    stopped(receiver).await;
    tokio::time::sleep(LINGER).await;
}
