//! Deletes the remaining rows of deleted organizations. Several replicas may run this worker
//! at the same time. After a crash, the next run continues.

use std::sync::Arc;
use std::time::Duration;

use super::periodic::run_periodically;
use super::schedule::Schedule;
use crate::error::Result;
use crate::operations::organizations::remove_deleted;
use crate::storage::Store;

pub const PERIOD: Duration = Duration::from_secs(10);

/// Runs in each period until `stop` resolves.
pub async fn run(schedule: Arc<Schedule>, store: Store, stop: impl Future<Output = ()>) {
    let work = || remove_all(store.clone());
    let failure = "cannot remove the rows of deleted organizations; the worker retries later";
    run_periodically(&schedule, failure, work, stop).await;
}

/// Deletes in small transactions, so that other changes run between them.
async fn remove_all(store: Store) -> Result<()> {
    while remove_deleted(&store).await? {}
    Ok(())
}
