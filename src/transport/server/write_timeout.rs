//! Time-outs for clients that do not read their responses. A socket that accepts no bytes for too
//! long is closed. On HTTP/2 a client can keep the window of one stream closed and still answer
//! every ping: then only that stream is reset, since other streams of a proxy belong to other
//! clients.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tonic::body::Body;

use super::lifetime::ActiveRequests;
use crate::transport::body::{Adapt, PollFrame, adapted};

/// The bytes of a response that are passed on at a time, and must be sent within the time-out.
const PIECE_BYTES: usize = 16 * 1024;

/// A stream whose writes fail after a time-out without progress.
pub struct WriteTimeout<IO> {
    stream: IO,
    timeout: Duration,
    /// Runs while a write is pending.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<IO> WriteTimeout<IO> {
    pub fn new(stream: IO, timeout: Duration) -> Self {
        Self { stream, timeout, waiting: None }
    }

    fn check<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.waiting = None;
            return poll;
        }
        let timeout = self.timeout;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        waiting.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for WriteTimeout<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.check(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.check(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.check(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.check(cx, shut)
    }
}

tokio::task_local! {
    /// The pending piece of the HTTP/2 stream that this task runs.
    static PENDING: PendingPiece;
}

/// The time at which hyper got a piece that it has not sent yet.
#[derive(Clone, Default)]
struct PendingPiece(Arc<Mutex<Option<Instant>>>);

impl PendingPiece {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Resolves when a piece has been pending for `timeout`.
    async fn timed_out(&self, timeout: Duration) {
        loop {
            let now = Instant::now();
            let since = self.0.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(now);
            if now.duration_since(since) >= timeout {
                return;
            }
            tokio::time::sleep_until(since + timeout).await;
        }
    }
}

/// Runs each HTTP/2 stream in a task. A stream whose client does not read its response is dropped,
/// and hyper resets it.
#[derive(Debug, Clone)]
pub struct StreamExecutor {
    /// The maximum time of a pending piece.
    pub timeout: Duration,
    /// Counts the running streams.
    pub requests: ActiveRequests,
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let (pending, timeout) = (PendingPiece::default(), self.timeout);
        let running = self.requests.begin();
        tokio::spawn(async move {
            let _running = running;
            tokio::select! {
                // Most streams end at the first poll; then the clock is not read.
                biased;
                _ = PENDING.scope(pending.clone(), stream) => {}
                () = pending.timed_out(timeout) => {
                    tracing::debug!("a client did not read its response in time; resetting the stream");
                }
            }
        });
    }
}

/// A response body whose delivery [`StreamExecutor`] watches. Call this in the task of its stream.
pub fn with_delivery_timeout(body: Body) -> Body {
    if body.is_end_stream() {
        return body;
    }
    match PENDING.try_with(PendingPiece::clone) {
        Ok(pending) => adapted(body, Pieces { rest: Bytes::new(), pending }),
        Err(_) => body,
    }
}

/// A body adapter that passes data on in pieces. hyper polls again when it has sent a piece.
struct Pieces {
    rest: Bytes,
    pending: PendingPiece,
}

impl Adapt for Pieces {
    fn poll_frame(&mut self, body: &mut Body, cx: &mut Context<'_>) -> PollFrame {
        self.pending.set(None);
        if self.rest.is_empty() {
            match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        self.pending.set(Some(Instant::now()));
        let piece = self.rest.split_to(self.rest.len().min(PIECE_BYTES));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self, body: &Body) -> bool {
        self.rest.is_empty() && body.is_end_stream()
    }

    fn size_hint(&self, body: &Body) -> SizeHint {
        let (rest, of_body) = (self.rest.len() as u64, body.size_hint());
        let mut hint = SizeHint::new();
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(of_body.lower() + rest);
        hint
    }
}

#[cfg(test)]
mod tests;
