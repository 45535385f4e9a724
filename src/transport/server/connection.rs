//! One connection, from its first byte to its end.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Version as HttpVersion, header};
use http_body::Body as HttpBody;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::watch;
use tonic::body::Body;

use super::rewind::Rewind;
use super::taking::{Streams, Taking, watched};
use super::tls::{self, Tls};
use super::{Answer, Peer};
use crate::config::Http;
use crate::transport::Response;

/// How every HTTP/2 connection begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// hyper's least for HTTP/1 read buffers.
const MIN_BUFFER: usize = 8192;

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
    http1: http1::Builder,
    http2: http2::Builder<Streams>,
    tls: Option<Tls>,
    handshake_timeout: Duration,
    first_byte_timeout: Duration,
    write_timeout: Duration,
    stopped: watch::Receiver<bool>,
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
        settings: &Http,
        tls: Option<Tls>,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let head_bytes = usize::try_from(settings.max_header_bytes).unwrap_or(usize::MAX);
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            // Also ends a connection that is idle between two requests.
            .header_read_timeout(settings.head_timeout)
            .max_buf_size(head_bytes.max(MIN_BUFFER));
        let mut http2 = http2::Builder::new(Streams { bound: settings.write_timeout });
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(settings.max_streams)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(MAX_SEND_BUFFER)
            .max_pending_accept_reset_streams(MAX_RESETS_BY_PEER)
            .max_local_error_reset_streams(MAX_RESETS_BY_US)
            .max_header_list_size(settings.max_header_bytes)
            // Ends silent peers and those that stop inside a header block, where
            // a ping cannot be answered.
            .keep_alive_interval(settings.keep_alive_interval)
            .keep_alive_timeout(settings.keep_alive_timeout);
        Self {
            service,
            http1,
            http2,
            tls,
            handshake_timeout: settings.handshake_timeout,
            first_byte_timeout: settings.first_byte_timeout,
            write_timeout: settings.write_timeout,
            stopped,
        }
    }

    /// Serves one connection to its end.
    pub async fn run<IO>(&self, stream: IO, peer: Peer)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = Taking::new(stream, self.write_timeout);
        let Some(tls) = &self.tls else {
            return self.serve(stream, None, peer).await;
        };
        let shaken = tokio::select! {
            () = lingered(self.stopped.clone()) => return,
            // Boxed: large, and gone before most of a connection's life.
            shaken = tokio::time::timeout(self.handshake_timeout, Box::pin(tls.accept(stream))) => shaken,
        };
        match shaken {
            Ok(Ok(stream)) => {
                let version = match stream.get_ref().1.alpn_protocol() {
                    Some(tls::H2) => Version::Http2,
                    _ => Version::Http1,
                };
                Box::pin(self.serve(stream, Some(version), peer)).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    /// Serves HTTP in the version that was agreed on; without one, the first bytes
    /// tell.
    async fn serve<IO>(&self, mut stream: IO, agreed: Option<Version>, peer: Peer)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let begun = tokio::select! {
            () = lingered(self.stopped.clone()) => return,
            begun = tokio::time::timeout(self.first_byte_timeout, begin(&mut stream)) => begun,
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

        let stream = TokioIo::new(Rewind::new(front, stream));
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            answer(self.service.clone(), self.stopped.clone(), request)
        });
        let ended = match version {
            Version::Http1 => {
                let connection = self.http1.serve_connection(stream, service);
                let stop = lingered(self.stopped.clone());
                drive(connection, stop, http1::Connection::graceful_shutdown).await
            }
            Version::Http2 => {
                let connection = self.http2.serve_connection(stream, service);
                let stop = stopped(self.stopped.clone());
                drive(connection, stop, http2::Connection::graceful_shutdown).await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke");
        }
    }
}

/// Answers a request, as far as the connection has a say in it.
fn answer<S: Answer>(
    mut service: S,
    stopped: watch::Receiver<bool>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response, Infallible>> {
    let (version, is_head) = (request.version(), request.method() == Method::HEAD);
    // Called here and only awaited there, since hyper moves the future about: it should
    // not have the request in it.
    let answer = service.call(request);
    async move {
        let mut response = answer.await?;
        if version == HttpVersion::HTTP_2 {
            return Ok(if is_head { without_body(response) } else { response.map(watched) });
        }
        // Near the end, an answer is its connection's last.
        if *stopped.borrow() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
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

/// Drives a connection; told to stop, it finishes what runs and takes no more.
async fn drive<C>(
    connection: C,
    stop: impl Future<Output = ()>,
    graceful_shutdown: impl FnOnce(Pin<&mut C>),
) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = stop => {}
    }
    graceful_shutdown(connection.as_mut());
    connection.await
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
