//! Checks the proofs of verified domains again. Several replicas may run this worker at the same
//! time: a domain is claimed before the lookup.

use std::sync::Arc;
use std::time::Duration;

use super::periodic::run_periodically;
use super::schedule::Schedule;
use crate::clock::Clock;
use crate::dns::Dns;
use crate::domain::{DomainChecks, Timestamp};
use crate::error::Result;
use crate::operations::domains::{CheckRun, check_due};
use crate::storage::Store;

/// How often the worker reads the domains that are due.
pub const PERIOD: Duration = Duration::from_secs(60);

/// Runs in each period until `stop` resolves.
pub async fn run(
    schedule: Arc<Schedule>,
    store: Store,
    clock: Arc<dyn Clock>,
    (dns, checks): (Arc<Dns>, DomainChecks),
    stop: impl Future<Output = ()>,
) {
    let work = || check_all(store.clone(), Arc::clone(&dns), checks, clock.now());
    let failure = "cannot read the domains that are to be checked; the worker retries later";
    run_periodically(&schedule, failure, work, stop).await;
}

async fn check_all(
    store: Store,
    dns: Arc<Dns>,
    checks: DomainChecks,
    now: Timestamp,
) -> Result<()> {
    let CheckRun { checked, missing, lapsed, failed } =
        check_due(&store, &dns, checks, now).await?;
    if checked > 0 {
        tracing::debug!(checked, missing, lapsed, "checked domains");
    }
    for error in failed {
        tracing::warn!(?error, "cannot store the check of a domain; the worker retries later");
    }
    Ok(())
}
