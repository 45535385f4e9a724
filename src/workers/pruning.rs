//! Forgets what is remembered for a time only.

use std::sync::Arc;
use std::time::Duration;

use super::every::every;
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::error::Result;
use crate::limits::Limits;
use crate::operations::delete_old_results;
use crate::storage::Store;

/// How often to look.
pub const PERIOD: Duration = Duration::from_secs(10 * 60);

/// Looks every `period`, until `stop` is done.
pub async fn run(
    period: Duration,
    store: Store,
    clock: Arc<dyn Clock>,
    limits: Arc<Limits>,
    stop: impl Future<Output = ()>,
) {
    let work = || prune(store.clone(), clock.now(), Arc::clone(&limits));
    every(period, "old requests could not be forgotten", work, stop).await;
}

async fn prune(store: Store, now: Timestamp, limits: Arc<Limits>) -> Result<()> {
    limits.forget_the_rested();
    let forgotten = delete_old_results(&store, now).await?;
    if forgotten > 0 {
        tracing::debug!(forgotten, "old requests");
    }
    Ok(())
}
