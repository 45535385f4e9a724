//! Ends the invites whose time has run out. Several replicas may do it at once:
//! each invite is ended under its organization's lock, by whichever comes first.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::every::every;
use crate::clock::Clock;
use crate::domain::{InviteId, Timestamp};
use crate::error::Result;
use crate::operations::invites::{Round, end_expired};
use crate::storage::Store;

/// How often to look.
pub const PERIOD: Duration = Duration::from_secs(60);

/// Invites that are looked up at a time.
const BATCH: u64 = 100;

/// The invites that the round before could not end.
type Failing = Mutex<HashSet<InviteId>>;

/// Looks every `period`, until `stop` is done.
pub async fn run(
    period: Duration,
    store: Store,
    clock: Arc<dyn Clock>,
    stop: impl Future<Output = ()>,
) {
    let failing = Arc::<Failing>::default();
    let work = || end_all(store.clone(), clock.now(), Arc::clone(&failing));
    every(period, "expired invites could not be read; the worker tries again", work, stop).await;
}

/// Ends everything that has expired.
async fn end_all(store: Store, now: Timestamp, failing: Arc<Failing>) -> Result<()> {
    let Round { ended, failed } = end_expired(&store, now, BATCH).await?;
    if ended > 0 {
        tracing::debug!(ended, "expired invites");
    }
    let mut failing = failing.lock().unwrap_or_else(PoisonError::into_inner);
    let before = std::mem::take(&mut *failing);
    for (invite, error) in failed {
        // Once, not in every period.
        if !before.contains(&invite) {
            tracing::warn!(
                ?error,
                %invite,
                "an expired invite could not be ended and lets nobody in; the worker ends the \
                 others and tries this one again in each period"
            );
        }
        failing.insert(invite);
    }
    Ok(())
}
