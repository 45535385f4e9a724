//! Peers that do not take what they have asked for. A socket that takes nothing for
//! too long ends with its connection; an HTTP/2 stream, whose window its peer can
//! keep shut while it answers every ping, ends alone: behind a proxy the others are
//! other people's.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;

use super::lifetime::Requests;

/// Bytes of an answer handed on at a time: what has to be taken within the bound.
const PIECE: usize = 16 * 1024;

/// A stream whose writes fail when none gets on for a time.
pub struct Taking<IO> {
    stream: IO,
    bound: Duration,
    /// Since a write could not get on.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<IO> Taking<IO> {
    /// Gives each write `bound`.
    pub fn new(stream: IO, bound: Duration) -> Self {
        Self { stream, bound, waiting: None }
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.waiting = None;
            return poll;
        }
        let bound = self.bound;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(bound)));
        waiting.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Taking<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Taking<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, shut)
    }
}

tokio::task_local! {
    /// Of the HTTP/2 stream whose task this is.
    static HANDED: Handed;
}

/// When a piece was handed on that has not been taken yet.
#[derive(Clone, Default)]
struct Handed(Arc<Mutex<Option<Instant>>>);

impl Handed {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Resolves when one has not been taken for as long as `bound`.
    async fn too_long(&self, bound: Duration) {
        loop {
            let now = Instant::now();
            let since = self.0.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(now);
            if now.duration_since(since) >= bound {
                return;
            }
            tokio::time::sleep_until(since + bound).await;
        }
    }
}

/// Runs each HTTP/2 stream, and ends those whose peer does not take what it asked
/// for: dropped, hyper resets them.
#[derive(Debug, Clone)]
pub struct Streams {
    /// How long a piece of an answer may wait.
    pub bound: Duration,
    /// Where those that run are counted.
    pub requests: Requests,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let (handed, bound, running) = (Handed::default(), self.bound, self.requests.begin());
        tokio::spawn(async move {
            let _running = running;
            tokio::select! {
                // Most are over at the first look, and the other need not be looked at.
                biased;
                _ = HANDED.scope(handed.clone(), stream) => {}
                () = handed.too_long(bound) => {
                    tracing::debug!("an answer was not taken in time");
                }
            }
        });
    }
}

/// An answer's body as [`Streams`] watches it. To be made in a stream's task.
pub fn watched(body: Body) -> Body {
    if body.is_end_stream() {
        return body;
    }
    match HANDED.try_with(Handed::clone) {
        Ok(handed) => Body::new(Watched { body, rest: Bytes::new(), handed }),
        Err(_) => body,
    }
}

/// Notes when it hands on what. hyper asks for more once what it had was taken.
struct Watched {
    body: Body,
    rest: Bytes,
    handed: Handed,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        this.handed.set(None);
        if this.rest.is_empty() {
            match std::task::ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        this.handed.set(Some(Instant::now()));
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, of_body) = (self.rest.len() as u64, self.body.size_hint());
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
