//! Ends expired invites and memberships. Several replicas may run this worker at the same time: the
//! lock on the organization's row makes sure that each is ended once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::periodic::run_periodically;
use super::schedule::Schedule;
use crate::clock::Clock;
use crate::domain::{InviteId, Timestamp};
use crate::error::Result;
use crate::operations::invites::{ExpiryRun, end_expired};
use crate::operations::members::{MemberExpiryRun, end_expired_members};
use crate::storage::Store;

pub const PERIOD: Duration = Duration::from_secs(60);

/// The most invites and organizations that are read at once.
const BATCH_SIZE: u64 = 100;

/// The invites that could not be ended in the previous run.
type Failing = Mutex<HashSet<InviteId>>;

/// Runs in each period until `stop` resolves.
pub async fn run(
    schedule: Arc<Schedule>,
    store: Store,
    clock: Arc<dyn Clock>,
    stop: impl Future<Output = ()>,
) {
    let failing = Arc::<Failing>::default();
    let work = || end_all(store.clone(), clock.now(), Arc::clone(&failing));
    let failure = "cannot read expired invites or memberships; the worker retries later";
    run_periodically(&schedule, failure, work, stop).await;
}

async fn end_all(store: Store, now: Timestamp, failing: Arc<Failing>) -> Result<()> {
    end_members(&store, now).await?;
    let ExpiryRun { ended, failed } = end_expired(&store, now, BATCH_SIZE).await?;
    if ended > 0 {
        tracing::debug!(ended, "ended expired invites");
    }
    let mut failing = failing.lock().unwrap_or_else(PoisonError::into_inner);
    let before = std::mem::take(&mut *failing);
    for (invite, error) in failed {
        // Logged once for each invite, not in every period.
        if !before.contains(&invite) {
            tracing::warn!(
                ?error,
                %invite,
                "cannot end an expired invite (it can no longer be used); the worker continues \
                 with the others and retries this one in each period"
            );
        }
        failing.insert(invite);
    }
    Ok(())
}

async fn end_members(store: &Store, now: Timestamp) -> Result<()> {
    let MemberExpiryRun { ended, failed } = end_expired_members(store, now, BATCH_SIZE).await?;
    if ended > 0 {
        tracing::debug!(ended, "ended expired memberships");
    }
    for (organization, error) in failed {
        tracing::warn!(
            ?error,
            %organization,
            "cannot store the end of memberships (they have ended all the same); the worker \
             continues with other organizations and retries this one in each period"
        );
    }
    Ok(())
}
