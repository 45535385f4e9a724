//! The number of waiting rows of a queue and the age of the oldest one, for the metrics.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::Timestamp;
use crate::error::Result;

/// The queue is counted this often.
const INTERVAL: Duration = Duration::from_secs(10);

/// The rows of a queue of all replicas, counted a few times a minute.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: AtomicI64,
    oldest_seconds: AtomicI64,
    counted_at: Mutex<Option<Instant>>,
}

impl Backlog {
    pub(super) fn waiting(&self) -> i64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How long the oldest row has waited.
    pub(super) fn oldest_seconds(&self) -> i64 {
        self.oldest_seconds.load(Ordering::Relaxed)
    }

    /// Updates the numbers, unless the last count is recent. `query` reads the number of waiting
    /// rows and the time since which the oldest one waits.
    pub(super) async fn count(
        &self,
        query: impl Future<Output = Result<(i64, Option<Timestamp>)>>,
        now: Timestamp,
    ) -> Result<()> {
        {
            let mut counted_at = self.counted_at.lock().unwrap_or_else(PoisonError::into_inner);
            if counted_at.is_some_and(|at| at.elapsed() < INTERVAL) {
                return Ok(());
            }
            *counted_at = Some(Instant::now());
        }
        let (waiting, oldest) = query.await?;
        let oldest = oldest.map_or(0, |at| (now.as_seconds() - at.as_seconds()).max(0));
        self.waiting.store(waiting, Ordering::Relaxed);
        self.oldest_seconds.store(oldest, Ordering::Relaxed);
        Ok(())
    }
}
