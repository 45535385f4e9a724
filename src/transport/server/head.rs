//! Limits for the head of an HTTP/1 request: the idle time before it, the time of its arrival, and
//! its size.
//!
//! hyper has one time-out for both times, and sends no text with the status for a head that is too
//! large. It calls its timer for a sleep whenever it begins to wait for a head: at this moment the
//! limits begin. If bytes of a head arrive together with the previous request, they are in hyper's
//! buffer and this module does not see them: until more arrive, the connection counts as idle.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Sleep, Timer};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// The limits of a head.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The time before its first byte.
    pub idle: Duration,
    /// The time from its first byte to its last.
    pub arrival: Duration,
    /// Its size in bytes.
    pub bytes: usize,
}

/// The head that a connection waits for. Clones share the state.
#[derive(Debug, Clone)]
pub struct Head(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// No byte has arrived. Each write of the previous response renews `since`.
    Awaited { since: Instant },
    /// Some bytes have arrived.
    Arriving { since: Instant, bytes: usize },
    /// The head is complete, and its request runs.
    Complete,
    /// The head does not end within its size limit.
    TooLarge,
}

impl Head {
    pub fn new(bounds: Bounds) -> Self {
        let state = Mutex::new(State::Awaited { since: Instant::now() });
        Self(Arc::new(Shared { bounds, state }))
    }

    /// Notes that the head is complete.
    pub fn complete(&self) {
        *self.state() = State::Complete;
    }

    pub fn is_too_large(&self) -> bool {
        matches!(*self.state(), State::TooLarge)
    }

    /// Whether no byte has arrived.
    pub fn is_awaited(&self) -> bool {
        matches!(*self.state(), State::Awaited { .. })
    }

    /// The number of bytes that the head may still have; `None` while no head is expected.
    fn remaining(&self) -> Option<usize> {
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

    /// Notes that a part of the previous response was written.
    fn wrote(&self) {
        if let State::Awaited { since } = &mut *self.state() {
            *since = Instant::now();
        }
    }

    /// The time at which the connection is closed.
    fn deadline(&self) -> Option<Instant> {
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

    /// hyper calls this when it begins to wait for a head. The deadline that it passes is ignored.
    fn sleep_until(&self, _: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        let now = Instant::now();
        *self.state() = State::Awaited { since: now };
        let sleep = tokio::time::sleep_until(now + self.0.bounds.idle);
        Box::pin(HeadTimeout { head: self.clone(), sleep })
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }
}

pin_project! {
    /// Resolves at the deadline of the head.
    struct HeadTimeout {
        head: Head,
        #[pin]
        sleep: tokio::time::Sleep,
    }
}

impl Sleep for HeadTimeout {}

impl Future for HeadTimeout {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            let Some(deadline) = this.head.deadline() else { return Poll::Pending };
            if this.sleep.deadline() != deadline {
                this.sleep.as_mut().reset(deadline);
            }
            ready!(this.sleep.as_mut().poll(cx));
            // The deadline may have moved meanwhile.
            if this.head.deadline().is_none_or(|deadline| deadline <= Instant::now()) {
                return Poll::Ready(());
            }
        }
    }
}

/// A stream that reads no more of a head than its size limit.
pub struct HeadReader<IO> {
    stream: IO,
    head: Head,
}

impl<IO> HeadReader<IO> {
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
        let Some(remaining) = this.head.remaining() else {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        };
        if remaining == 0 {
            *this.head.state() = State::TooLarge;
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let before = buffer.filled().len();
        let mut limited = (&mut this.stream).take(remaining as u64);
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
