//! Measures how far the feed of events is behind, and names the transaction that delays it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::periodic::run_periodically;
use super::schedule::Schedule;
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::error::Result;
use crate::storage::{Store, events};

pub const PERIOD: Duration = Duration::from_secs(5);

/// From this lag on, the cause is logged.
const WARNING_LAG: Duration = Duration::from_secs(10);
/// The least time between two warnings.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// The age of the oldest committed event that readers may not have yet. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct EventLag(Arc<State>);

#[derive(Debug, Default)]
struct State {
    lag_micros: AtomicU64,
    /// The time of the last warning, in microseconds.
    warned_at: AtomicI64,
}

impl EventLag {
    /// Zero if no event waits.
    pub fn get(&self) -> Duration {
        Duration::from_micros(self.0.lag_micros.load(Ordering::Relaxed))
    }

    async fn measure(&self, store: &Store, now: Timestamp) -> Result<()> {
        let waiting = events::oldest_waiting(store.read()).await?;
        let age = |since: Timestamp| now.as_micros().saturating_sub(since.as_micros()).max(0);
        let micros = waiting.as_ref().map_or(0, |(since, _)| age(*since).unsigned_abs());
        self.0.lag_micros.store(micros, Ordering::Relaxed);
        let Some((_, holder)) = waiting else { return Ok(()) };
        let warned_at = Timestamp::from_micros(self.0.warned_at.load(Ordering::Relaxed));
        if self.get() >= WARNING_LAG && warned_at.plus(WARNING_INTERVAL) <= now {
            self.0.warned_at.store(now.as_micros(), Ordering::Relaxed);
            tracing::warn!(
                lag = ?self.get(),
                %holder,
                "readers of events wait for a write transaction that is still open; they go on \
                 when it ends"
            );
        }
        Ok(())
    }
}

/// Runs in each period until `stop` resolves.
pub async fn run(
    schedule: Arc<Schedule>,
    store: Store,
    clock: Arc<dyn Clock>,
    lag: EventLag,
    stop: impl Future<Output = ()>,
) {
    let work = || {
        let (store, lag, now) = (store.clone(), lag.clone(), clock.now());
        async move { lag.measure(&store, now).await }
    };
    let failure = "cannot measure the lag of the feed of events; the worker retries later";
    run_periodically(&schedule, failure, work, stop).await;
}
