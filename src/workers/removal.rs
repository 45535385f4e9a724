//! Removes what deleted organizations have left. Several replicas may do it at once: each
//! takes another organization. After a crash, the next look goes on.

use std::time::Duration;

use super::every::every;
use crate::error::Result;
use crate::operations::organizations::remove_deleted;
use crate::storage::Store;

/// How often to look.
pub const PERIOD: Duration = Duration::from_secs(10);

/// Looks every `period`, until `stop` is done.
pub async fn run(period: Duration, store: Store, stop: impl Future<Output = ()>) {
    let work = || remove_all(store.clone());
    every(period, "the rows of deleted organizations could not be removed", work, stop).await;
}

/// Removes everything, in parts between which other changes are made.
async fn remove_all(store: Store) -> Result<()> {
    while remove_deleted(&store).await? {}
    Ok(())
}
