//! The clock as a trait, so that tests can set the time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::domain::Timestamp;

pub trait Clock: Send + Sync + 'static {
    /// Wall-clock time.
    fn now(&self) -> Timestamp;

    /// Monotonic time since a fixed moment of this process. Changes of the system clock do
    /// not affect it.
    fn elapsed(&self) -> Duration;
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        START.elapsed()
    }
}

/// The system clock plus an offset that tests and the demo change. Clones share the offset.
#[derive(Debug, Clone)]
pub struct OffsetClock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    offset_micros: AtomicI64,
    /// Replaces the system clock unless it is [`RUNNING`].
    stopped_at_micros: AtomicI64,
}

/// The value of `stopped_at_micros` while the clock is not stopped. It is no valid time.
const RUNNING: i64 = i64::MIN;

impl Default for OffsetClock {
    fn default() -> Self {
        Self(Arc::new(Shared {
            offset_micros: AtomicI64::new(0),
            stopped_at_micros: AtomicI64::new(RUNNING),
        }))
    }
}

impl OffsetClock {
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.0.offset_micros.fetch_add(micros, Ordering::SeqCst);
    }

    /// Sets the wall-clock time back. [`Clock::elapsed`] ignores an offset below zero.
    pub fn go_back(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.0.offset_micros.fetch_sub(micros, Ordering::SeqCst);
    }

    /// Stops the wall-clock time at `at`. After that, only [`OffsetClock::advance`] and
    /// [`OffsetClock::go_back`] change it.
    pub fn stop_at(&self, at: Timestamp) {
        let offset = self.0.offset_micros.load(Ordering::SeqCst);
        self.0.stopped_at_micros.store(at.as_micros() - offset, Ordering::SeqCst);
    }
}

impl Clock for OffsetClock {
    fn now(&self) -> Timestamp {
        let machine = match self.0.stopped_at_micros.load(Ordering::SeqCst) {
            RUNNING => SystemClock.now().as_micros(),
            stopped_at => stopped_at,
        };
        Timestamp::from_micros(machine + self.0.offset_micros.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        let offset = u64::try_from(self.0.offset_micros.load(Ordering::SeqCst)).unwrap_or(0);
        SystemClock.elapsed() + Duration::from_micros(offset)
    }
}
