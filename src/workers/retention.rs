//! Deletes old events. Several replicas may run this worker at the same time.

use std::sync::Arc;
use std::time::Duration;

use super::periodic::run_periodically;
use super::schedule::Schedule;
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::error::Result;
use crate::operations::events::delete_old_events;
use crate::storage::Store;

pub const PERIOD: Duration = Duration::from_secs(10 * 60);

/// Runs in each period until `stop` resolves; keeps events for `keep`.
pub async fn run(
    schedule: Arc<Schedule>,
    store: Store,
    clock: Arc<dyn Clock>,
    keep: Duration,
    stop: impl Future<Output = ()>,
) {
    let work = || delete_all(store.clone(), clock.now().minus(keep));
    let failure = "cannot delete old events; the worker retries later";
    run_periodically(&schedule, failure, work, stop).await;
}

/// Deletes in small transactions, so that other changes run between them.
async fn delete_all(store: Store, before: Timestamp) -> Result<()> {
    while delete_old_events(&store, before).await? > 0 {}
    Ok(())
}
