//! Ends the invites whose time has run out. Several replicas may do it at once:
//! each invite is ended under its organization's lock, by whoever comes first.

use std::sync::Arc;
use std::time::Duration;

use super::every::every;
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::error::Result;
use crate::operations::invites::end_expired;
use crate::storage::Store;

/// How often to look.
pub const PERIOD: Duration = Duration::from_secs(60);

/// Invites that are looked up at a time.
const BATCH: u64 = 100;

/// Looks every `period`, until `stop` is done.
pub async fn run(
    period: Duration,
    store: Store,
    clock: Arc<dyn Clock>,
    stop: impl Future<Output = ()>,
) {
    let work = || end_all(store.clone(), clock.now());
    every(period, "expired invites could not be ended", work, stop).await;
}

/// Ends everything that has expired.
async fn end_all(store: Store, now: Timestamp) -> Result<()> {
    let mut ended = 0;
    loop {
        match end_expired(&store, now, BATCH).await? {
            0 => break,
            some => ended += some,
        }
    }
    if ended > 0 {
        tracing::debug!(ended, "expired invites");
    }
    Ok(())
}
