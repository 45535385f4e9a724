//! Looks for the proofs of verified domains again.

use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::record;
use crate::dns::Dns;
use crate::domain::{Action, Actor, DomainChecks, DomainData, DomainState, Timestamp};
use crate::error::{Error, Result};
use crate::operations::notices::enqueue_domain_lapsed;
use crate::storage::domains::DueDomain;
use crate::storage::{Store, change, domains, organizations};

/// The most domains that are read at once.
const BATCH: u64 = 100;
/// The most concurrent lookups.
const MAX_LOOKUPS: usize = 8;
/// After this time another replica may check a domain that this one has claimed. It is longer than
/// a lookup and a change take together.
const CLAIM: Duration = Duration::from_secs(60);

/// The result of [`check_due`].
#[derive(Debug, Default)]
pub struct CheckRun {
    pub checked: u64,
    /// The proofs that were not found.
    pub missing: u64,
    /// The domains that have lapsed.
    pub lapsed: u64,
    /// The errors of the store; these domains are checked again later.
    pub failed: Vec<Error>,
}

enum Checked {
    /// Not checked: another replica has claimed the domain, or it was removed or changed since it
    /// was read.
    No,
    Proved,
    Missing,
    Lapsed,
}

/// Looks for the proof of every verified domain that is due. A proof that cannot be read, for
/// example because the name servers do not respond, also counts as missing: the grace period covers
/// such outages.
///
/// # Errors
/// If the store cannot be read.
pub async fn check_due(
    store: &Store,
    dns: &Dns,
    checks: DomainChecks,
    now: Timestamp,
) -> Result<CheckRun> {
    let mut run = CheckRun::default();
    loop {
        let due = domains::due(store.read(), now, BATCH).await?;
        if due.is_empty() {
            return Ok(run);
        }
        let failed_before = run.failed.len();
        let results = stream::iter(due).map(|due| check_one(store, dns, checks, due, now));
        let mut results = results.buffer_unordered(MAX_LOOKUPS);
        while let Some(result) = results.next().await {
            run.checked += u64::from(!matches!(result, Ok(Checked::No) | Err(_)));
            match result {
                Ok(Checked::No | Checked::Proved) => {}
                Ok(Checked::Missing) => run.missing += 1,
                Ok(Checked::Lapsed) => {
                    run.missing += 1;
                    run.lapsed += 1;
                }
                Err(error) => run.failed.push(error),
            }
        }
        // A domain whose claim failed is still due: the next read would return it again at once.
        if run.failed.len() > failed_before {
            return Ok(run);
        }
    }
}

async fn check_one(
    store: &Store,
    dns: &Dns,
    checks: DomainChecks,
    due: DueDomain,
    now: Timestamp,
) -> Result<Checked> {
    let (until, claimed) = (now.plus(CLAIM), due.clone());
    let claim = change!(async move |tx| domains::claim(tx, &claimed, until).await);
    if !store.write(claim).await? {
        return Ok(Checked::No);
    }
    let domain = due.domain;
    let values = dns.txt(&domain.record_name()).await.unwrap_or_else(|error| {
        tracing::info!(
            %error,
            domain = %domain.id,
            "cannot read the TXT record of a domain; the proof counts as missing in this check"
        );
        Vec::new()
    });
    let proved = domain.is_proved_by(&values);
    let (id, organization) = (domain.id, domain.organization);
    let checked = change!(async move |tx| {
        let locked = organizations::lock(tx, organization).await?;
        let Some(organization) = locked else { return Ok(Checked::No) };
        // The domain is read again: it may have been verified or removed since the lookup began.
        let found = domains::find(tx, organization.id, id).await?;
        let verified = |domain: &crate::domain::OrganizationDomain| {
            domain.state == DomainState::Verified && domain.checked_at.is_none_or(|at| at <= now)
        };
        let Some(before) = found.filter(verified) else { return Ok(Checked::No) };
        let after = match proved {
            true => before.proved(now),
            false => before.not_proved(now, checks.grace),
        };
        domains::update(tx, &after, after.next_check(checks)).await?;
        if after.state == DomainState::Lapsed {
            let (event, actor) = (DomainData::from(&after), Actor::system("domains"));
            let event = (Action::DomainLapsed, event);
            record(tx, organization, event, after.name.to_string(), &actor, now).await?;
            enqueue_domain_lapsed(tx, &after, &actor, now).await?;
            return Ok(Checked::Lapsed);
        }
        Ok(if proved { Checked::Proved } else { Checked::Missing })
    });
    store.write_in(organization, checked).await
}
