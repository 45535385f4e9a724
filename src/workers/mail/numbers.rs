//! The numbers of the outbox for the metrics.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::MailWorker;
use crate::error::Result;
use crate::storage::outbox;

/// The outbox is counted this often.
const COUNT_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub struct Counts {
    waiting: AtomicI64,
    oldest_seconds: AtomicI64,
    pub(super) sent: AtomicU64,
    pub(super) postponed: AtomicU64,
    pub(super) failed: AtomicU64,
    counted_at: Mutex<Option<Instant>>,
}

/// The numbers of the metrics.
#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    /// Mails of all replicas; counted a few times a minute.
    pub waiting: i64,
    /// How long the oldest of them waits.
    pub oldest_seconds: i64,
    /// Mails of this process.
    pub sent: u64,
    /// Attempts of this process that are repeated later.
    pub postponed: u64,
    /// Mails that this process has given up.
    pub failed: u64,
}

impl MailWorker {
    pub fn numbers(&self) -> Numbers {
        let counts = &self.counts;
        Numbers {
            waiting: counts.waiting.load(Ordering::Relaxed),
            oldest_seconds: counts.oldest_seconds.load(Ordering::Relaxed),
            sent: counts.sent.load(Ordering::Relaxed),
            postponed: counts.postponed.load(Ordering::Relaxed),
            failed: counts.failed.load(Ordering::Relaxed),
        }
    }

    /// Counts the outbox, unless that was done a moment ago.
    pub(super) async fn count(&self) -> Result<()> {
        {
            let counted_at = &self.counts.counted_at;
            let mut counted_at = counted_at.lock().unwrap_or_else(PoisonError::into_inner);
            if counted_at.is_some_and(|at| at.elapsed() < COUNT_INTERVAL) {
                return Ok(());
            }
            *counted_at = Some(Instant::now());
        }
        let (waiting, oldest) = outbox::backlog(self.store.read()).await?;
        let now = self.clock.now().as_seconds();
        let oldest = oldest.map_or(0, |at| (now - at.as_seconds()).max(0));
        self.counts.waiting.store(waiting, Ordering::Relaxed);
        self.counts.oldest_seconds.store(oldest, Ordering::Relaxed);
        Ok(())
    }
}
