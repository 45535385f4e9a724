//! The head of a request over HTTP/1: how long it may be waited for, how long it may
//! take to arrive, and how large it may be.
//!
//! hyper has one bound for the silence between two requests and for a head's arrival,
//! and answers a head that is too large without a word. It asks its timer for a sleep
//! whenever it begins to wait for a head, which is where the bounds begin here. What
//! came with the request before is in hyper's buffer by then and not seen here: such a
//! part of a head counts as silence.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Sleep, Timer};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What a head may cost.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The silence before it.
    pub idle: Duration,
    /// From its first byte to its last.
    pub arrival: Duration,
    /// Its size.
    pub bytes: usize,
}

/// The head that a connection waits for. Clones share it.
#[derive(Debug, Clone)]
pub struct Head(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nothing of it is there. `since` moves while the answer before it is taken.
    Awaited { since: Instant },
    /// Some of it is there.
    Arriving { since: Instant, bytes: usize },
    /// It is there whole, and its request is answered.
    Complete,
    /// It has no end within its bound.
    TooLarge,
}

impl Head {
    /// The first of a connection.
    pub fn new(bounds: Bounds) -> Self {
        let state = Mutex::new(State::Awaited { since: Instant::now() });
        Self(Arc::new(Shared { bounds, state }))
    }

    /// Says that the request has come to be answered.
    pub fn complete(&self) {
        *self.state() = State::Complete;
    }

    /// Whether it is larger than it may be.
    pub fn is_too_large(&self) -> bool {
        matches!(*self.state(), State::TooLarge)
    }

    /// Whether nothing of it has come.
    pub fn is_awaited(&self) -> bool {
        matches!(*self.state(), State::Awaited { .. })
    }

    /// How many bytes may still come of it. `None`: what comes is no head.
    fn missing(&self) -> Option<usize> {
        match *self.state() {
            State::Awaited { .. } => Some(self.0.bounds.bytes),
            State::Arriving { bytes, .. } => Some(self.0.bounds.bytes - bytes),
            State::Complete => None,
            State::TooLarge => Some(0),
        }
    }

    fn arrived(&self, more: usize) {
        let mut state = self.state();
        *state = match *state {
            State::Awaited { .. } if more > 0 => {
                State::Arriving { since: Instant::now(), bytes: more }
            }
            State::Arriving { since, bytes } => State::Arriving { since, bytes: bytes + more },
            other => other,
        };
    }

    /// Notes that some of the answer before it was taken.
    fn wrote(&self) {
        if let State::Awaited { since } = &mut *self.state() {
            *since = Instant::now();
        }
    }

    /// Until when it is waited for.
    fn due(&self) -> Option<Instant> {
        match *self.state() {
            State::Awaited { since } => Some(since + self.0.bounds.idle),
            State::Arriving { since, .. } => Some(since + self.0.bounds.arrival),
            State::Complete | State::TooLarge => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Timer for Head {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    /// The deadline is hyper's, from whose moment on this head is waited for.
    fn sleep_until(&self, _: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        let now = Instant::now();
        *self.state() = State::Awaited { since: now };
        let sleep = tokio::time::sleep_until(now + self.0.bounds.idle);
        Box::pin(Patience { head: self.clone(), sleep })
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }
}

pin_project! {
    /// Resolves when the head has had its time.
    struct Patience {
        head: Head,
        #[pin]
        sleep: tokio::time::Sleep,
    }
}

impl Sleep for Patience {}

impl Future for Patience {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            let Some(due) = this.head.due() else { return Poll::Pending };
            if this.sleep.deadline() != due {
                this.sleep.as_mut().reset(due);
            }
            ready!(this.sleep.as_mut().poll(cx));
            // It may have moved while this slept.
            if this.head.due().is_none_or(|due| due <= Instant::now()) {
                return Poll::Ready(());
            }
        }
    }
}

/// A stream of which no more is read for a head than its bound.
pub struct HeadReader<IO> {
    stream: IO,
    head: Head,
}

impl<IO> HeadReader<IO> {
    /// Reads for `head`.
    pub fn new(stream: IO, head: Head) -> Self {
        Self { stream, head }
    }

    fn wrote<T>(&self, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(poll, Poll::Ready(Ok(_))) {
            self.head.wrote();
        }
        poll
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for HeadReader<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(missing) = this.head.missing() else {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        };
        if missing == 0 {
            *this.head.state() = State::TooLarge;
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let before = buffer.filled().len();
        let mut limited = (&mut this.stream).take(missing as u64);
        ready!(Pin::new(&mut limited).poll_read(cx, buffer))?;
        this.head.arrived(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for HeadReader<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
