//! The time, as something that can be handed over and moved by tests.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::domain::Timestamp;

/// Where an operation gets its one `now` from.
pub trait Clock: Send + Sync + 'static {
    /// The present moment, UTC.
    fn now(&self) -> Timestamp;

    /// The time since some fixed moment of this process. It never goes back,
    /// whatever is done to the machine's clock.
    fn elapsed(&self) -> Duration;
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The machine's clock.
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

/// The machine's clock plus an offset that a test moves. Clones share it.
#[derive(Debug, Clone)]
pub struct OffsetClock(Arc<Moved>);

#[derive(Debug)]
struct Moved {
    offset: AtomicI64,
    /// What stands in the machine's place; [`RUNNING`] where nothing does.
    stopped_at: AtomicI64,
}

const RUNNING: i64 = i64::MIN;

impl Default for OffsetClock {
    fn default() -> Self {
        Self(Arc::new(Moved { offset: AtomicI64::new(0), stopped_at: AtomicI64::new(RUNNING) }))
    }
}

impl OffsetClock {
    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.0.offset.fetch_add(micros, Ordering::SeqCst);
    }

    /// Stops the time at this moment; from then on it only moves by
    /// [`OffsetClock::advance`].
    pub fn stop_at(&self, at: Timestamp) {
        let offset = self.0.offset.load(Ordering::SeqCst);
        self.0.stopped_at.store(at.as_micros() - offset, Ordering::SeqCst);
    }
}

impl Clock for OffsetClock {
    fn now(&self) -> Timestamp {
        let machine = match self.0.stopped_at.load(Ordering::SeqCst) {
            RUNNING => SystemClock.now().as_micros(),
            stopped_at => stopped_at,
        };
        Timestamp::from_micros(machine + self.0.offset.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        let offset = u64::try_from(self.0.offset.load(Ordering::SeqCst)).unwrap_or(0);
        SystemClock.elapsed() + Duration::from_micros(offset)
    }
}
