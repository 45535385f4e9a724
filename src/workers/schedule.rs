//! When a worker runs, and when it last succeeded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The period of a worker, and its last success, for the metrics.
#[derive(Debug)]
pub struct Schedule {
    pub worker: &'static str,
    pub period: Duration,
    succeeded_at_millis: AtomicU64,
}

impl Schedule {
    /// The worker counts as successful at its start.
    pub fn new(worker: &'static str, period: Duration) -> Arc<Self> {
        let schedule = Self { worker, period, succeeded_at_millis: AtomicU64::new(0) };
        schedule.succeeded();
        Arc::new(schedule)
    }

    /// Records that a run of the worker has succeeded now.
    pub(super) fn succeeded(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.succeeded_at_millis.store(millis, Ordering::Relaxed);
    }

    /// The time of the last successful run, since the Unix epoch.
    pub fn succeeded_at(&self) -> Duration {
        Duration::from_millis(self.succeeded_at_millis.load(Ordering::Relaxed))
    }
}
