//! Deletes old results of idempotent requests, and counters of rate limits that are no longer
//! needed.

use std::sync::Arc;
use std::time::Duration;

use super::periodic::run_periodically;
use super::schedule::Schedule;
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::error::Result;
use crate::limits::Limits;
use crate::operations::delete_old_results;
use crate::storage::Store;

pub const PERIOD: Duration = Duration::from_secs(10 * 60);

/// Runs in each period until `stop` resolves.
pub async fn run(
    schedule: Arc<Schedule>,
    store: Store,
    clock: Arc<dyn Clock>,
    limits: Arc<Limits>,
    stop: impl Future<Output = ()>,
) {
    let work = || prune(store.clone(), clock.now(), Arc::clone(&limits));
    let failure = "cannot delete old results of requests; the worker retries later";
    run_periodically(&schedule, failure, work, stop).await;
}

async fn prune(store: Store, now: Timestamp, limits: Arc<Limits>) -> Result<()> {
    limits.prune_replenished();
    let deleted = delete_old_results(&store, now).await?;
    if deleted > 0 {
        tracing::debug!(deleted, "deleted old results of requests");
    }
    Ok(())
}
