//! How often something may be done, counted in this process.
//!
//! The counting is governor's (the generic cell rate algorithm): as many as the
//! number says at once, and as many again spread over its period.

mod counter;
mod lists;
mod state;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::Quota;

use self::counter::{Counter, Refusal};
use self::lists::Lists;
pub use self::lists::Turn;
use self::state::Key;
use crate::clock::Clock;
use crate::config;
use crate::domain::{AccountId, EmailAddress, Network, OrganizationId};
use crate::error::{Error, Kind, Result, reason};

/// Every limit of the settings, and what has been counted.
#[derive(Debug)]
pub struct Limits {
    organizations_per_account: Counter,
    invites_per_account: Counter,
    invites_per_organization: Counter,
    invites_per_address: Counter,
    previews_per_account: Counter,
    previews_per_network: Counter,
    joins_per_account: Counter,
    joins_per_network: Counter,
    lists_per_organization: Lists,
}

/// What one request counts for in one counter.
type Share<'a> = (&'a Counter, Key, NonZeroU32);

impl Limits {
    /// Starts counting.
    pub fn new(settings: &config::Limits, clock: &Arc<dyn Clock>) -> Self {
        let counter = |number, period: fn(NonZeroU32) -> Quota, what| {
            Counter::new(NonZeroU32::new(number).map(period), clock, what)
        };
        let hourly = |number, what| counter(number, Quota::per_hour, what);
        let by_minute = |number, what| counter(number, Quota::per_minute, what);
        Self {
            organizations_per_account: hourly(
                settings.organizations_per_account,
                "organizations made by this account",
            ),
            invites_per_account: hourly(settings.invites_per_account, "invites from this account"),
            invites_per_organization: hourly(
                settings.invites_per_organization,
                "invites to this organization",
            ),
            invites_per_address: hourly(
                settings.invites_per_address,
                "invitations to the same address",
            ),
            previews_per_account: by_minute(
                settings.previews_per_account,
                "previews from this account",
            ),
            previews_per_network: by_minute(
                settings.previews_per_network,
                "previews from this network",
            ),
            joins_per_account: by_minute(settings.joins_per_account, "joins from this account"),
            joins_per_network: by_minute(settings.joins_per_network, "joins from this network"),
            lists_per_organization: Lists::new(settings.lists_per_organization),
        }
    }

    /// Counts an organization that is about to be made.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED; nothing has been counted then.
    pub fn organization(&self, account: AccountId) -> Result<()> {
        count(&[(&self.organizations_per_account, Key::Account(account), NonZeroU32::MIN)])
    }

    /// Counts invites that are about to be made or sent again: `number` of them,
    /// among them email invitations to `addresses`.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED; nothing has been counted then.
    pub fn invites(
        &self,
        account: AccountId,
        organization: OrganizationId,
        number: usize,
        addresses: impl Iterator<Item = EmailAddress>,
    ) -> Result<()> {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let Some(number) = NonZeroU32::new(number) else { return Ok(()) };
        let mut shares = vec![
            (&self.invites_per_account, Key::Account(account), number),
            (&self.invites_per_organization, Key::Organization(organization), number),
        ];
        shares
            .extend(addresses.map(|address| {
                (&self.invites_per_address, Key::Address(address), NonZeroU32::MIN)
            }));
        count(&shares)
    }

    /// Counts a look at an invite.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED; nothing has been counted then.
    pub fn preview(&self, account: Option<AccountId>, network: Option<Network>) -> Result<()> {
        once(&self.previews_per_account, account, &self.previews_per_network, network)
    }

    /// Counts a try to join or to decline.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED; nothing has been counted then.
    pub fn join(&self, account: AccountId, network: Option<Network>) -> Result<()> {
        once(&self.joins_per_account, Some(account), &self.joins_per_network, network)
    }

    /// Waits for a turn to list something of an organization, or of what is outside all
    /// of them, and holds it as long as the answer is kept.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if too many wait, or none of them ends in time.
    pub async fn list(&self, organization: impl Into<Option<OrganizationId>>) -> Result<Turn> {
        self.lists_per_organization.turn(organization.into()).await
    }

    /// Forgets whoever has their whole number again.
    pub fn forget_the_rested(&self) {
        for counter in self.counters() {
            counter.forget_the_rested();
        }
    }

    /// How many keys are remembered.
    pub fn remembered(&self) -> usize {
        self.counters().into_iter().map(Counter::remembered).sum()
    }

    fn counters(&self) -> [&Counter; 8] {
        [
            &self.organizations_per_account,
            &self.invites_per_account,
            &self.invites_per_organization,
            &self.invites_per_address,
            &self.previews_per_account,
            &self.previews_per_network,
            &self.joins_per_account,
            &self.joins_per_network,
        ]
    }
}

fn once(
    per_account: &Counter,
    account: Option<AccountId>,
    per_network: &Counter,
    network: Option<Network>,
) -> Result<()> {
    let account = account.map(|id| (per_account, Key::Account(id), NonZeroU32::MIN));
    let network = network.map(|network| (per_network, Key::Network(network), NonZeroU32::MIN));
    count(&account.into_iter().chain(network).collect::<Vec<_>>())
}

/// Counts all of it or nothing. The answer to a refusal is when all of it would
/// have been let through.
fn count(shares: &[Share<'_>]) -> Result<()> {
    let mut refused: Option<(&Counter, Refusal)> = None;
    let mut counted = Vec::with_capacity(shares.len());
    for share in shares {
        let (counter, key, number) = share;
        match counter.count(key, *number) {
            Ok(()) => counted.push(share),
            Err(refusal) if refused.as_ref().is_none_or(|(_, worst)| *worst < refusal) => {
                refused = Some((counter, refusal));
            }
            Err(_) => {}
        }
    }
    let Some((counter, refusal)) = refused else { return Ok(()) };
    for (counter, key, number) in counted {
        counter.give_back(key, *number);
    }
    Err(error(counter.what(), refusal))
}

fn error(what: &str, refusal: Refusal) -> Error {
    let error =
        |message| Error::new(Kind::ResourceExhausted, message).with_reason(reason::RATE_LIMITED);
    match refusal {
        Refusal::Wait(wait) => {
            // Rounded up: who waits for just that long is let through.
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
            error(format!("too many {what}; try again later"))
                .with_retry_after(Duration::from_millis(millis))
        }
        Refusal::MoreThan(most) => {
            error(format!("too many {what} at once; at most {most} are let through"))
        }
    }
}

#[cfg(test)]
mod tests;
