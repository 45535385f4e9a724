//! Rate limits, counted by this server process.
//!
//! governor counts with the generic cell rate algorithm: a limit of N an hour allows a burst
//! of N, and replenishes evenly with N an hour.

mod counter;
mod lists;
mod state;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::Quota;

use self::counter::{Counter, LimitError};
use self::lists::ConcurrentLists;
pub use self::lists::ListPermit;
use self::state::Key;
use crate::clock::Clock;
use crate::config;
use crate::domain::{AccountId, EmailAddress, Network, OrganizationId};
use crate::error::{Error, Kind, Result, reason};

/// The counters for every limit of the settings.
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
    sign_ins_per_network: Counter,
    lists_per_organization: ConcurrentLists,
}

/// The number that a request adds to one counter.
type Charge<'a> = (&'a Counter, Key, NonZeroU32);

impl Limits {
    pub fn new(settings: &config::Limits, clock: &Arc<dyn Clock>) -> Self {
        let counter = |number, period: fn(NonZeroU32) -> Quota, setting, what| {
            Counter::new(NonZeroU32::new(number).map(period), clock, setting, what)
        };
        let per_hour = |number, setting, what| counter(number, Quota::per_hour, setting, what);
        let per_minute = |number, setting, what| counter(number, Quota::per_minute, setting, what);
        Self {
            organizations_per_account: per_hour(
                settings.organizations_per_account,
                "organizations_per_account",
                "organizations made by this account",
            ),
            invites_per_account: per_hour(
                settings.invites_per_account,
                "invites_per_account",
                "invites from this account",
            ),
            invites_per_organization: per_hour(
                settings.invites_per_organization,
                "invites_per_organization",
                "invites to this organization",
            ),
            invites_per_address: per_hour(
                settings.invites_per_address,
                "invites_per_address",
                "invitations to the same address",
            ),
            previews_per_account: per_minute(
                settings.previews_per_account,
                "previews_per_account",
                "previews from this account",
            ),
            previews_per_network: per_minute(
                settings.previews_per_network,
                "previews_per_network",
                "previews from this network",
            ),
            joins_per_account: per_minute(
                settings.joins_per_account,
                "joins_per_account",
                "joins from this account",
            ),
            joins_per_network: per_minute(
                settings.joins_per_network,
                "joins_per_network",
                "joins from this network",
            ),
            sign_ins_per_network: per_minute(
                settings.sign_ins_per_network,
                "sign_ins_per_network",
                "steps of signing in from this network",
            ),
            lists_per_organization: ConcurrentLists::new(settings.lists_per_organization),
        }
    }

    /// Counts the creation of an organization.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED; nothing is counted then.
    pub fn organization(&self, account: AccountId) -> Result<()> {
        count(&[(&self.organizations_per_account, Key::Account(account), NonZeroU32::MIN)])
    }

    /// Counts `number` invites that are created or sent again, including email invitations
    /// to `addresses`.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED; nothing is counted then.
    pub fn invites(
        &self,
        account: AccountId,
        organization: OrganizationId,
        number: usize,
        addresses: impl Iterator<Item = EmailAddress>,
    ) -> Result<()> {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let Some(number) = NonZeroU32::new(number) else { return Ok(()) };
        let mut charges = vec![
            (&self.invites_per_account, Key::Account(account), number),
            (&self.invites_per_organization, Key::Organization(organization), number),
        ];
        charges
            .extend(addresses.map(|address| {
                (&self.invites_per_address, Key::Address(address), NonZeroU32::MIN)
            }));
        count(&charges)
    }

    /// Counts a preview of an invite.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED; nothing is counted then.
    pub fn preview(&self, account: Option<AccountId>, network: Option<Network>) -> Result<()> {
        count_one(&self.previews_per_account, account, &self.previews_per_network, network)
    }

    /// Counts an attempt to join or to decline.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED; nothing is counted then.
    pub fn join(&self, account: AccountId, network: Option<Network>) -> Result<()> {
        count_one(&self.joins_per_account, Some(account), &self.joins_per_network, network)
    }

    /// Counts a step of signing in on our pages.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED; nothing is counted then.
    pub fn sign_in(&self, network: Option<Network>) -> Result<()> {
        let Some(network) = network else { return Ok(()) };
        count(&[(&self.sign_ins_per_network, Key::Network(network), NonZeroU32::MIN)])
    }

    /// Waits until a list of this organization may run; `None` stands for lists that belong
    /// to no organization. Keep the permit until the list has been read.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if too many lists are waiting, or this one waits too long.
    pub async fn list(
        &self,
        organization: impl Into<Option<OrganizationId>>,
    ) -> Result<ListPermit> {
        self.lists_per_organization.acquire(organization.into()).await
    }

    /// Removes the keys whose quota is fully replenished, to free memory.
    pub fn prune_replenished(&self) {
        for counter in self.counters() {
            counter.prune_replenished();
        }
    }

    /// The number of keys in all counters.
    pub fn tracked_keys(&self) -> usize {
        self.counters().into_iter().map(Counter::tracked_keys).sum()
    }

    /// The number of requests that each limit has rejected, with the name of its setting.
    pub fn rejected(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let lists = ("lists_per_organization", self.lists_per_organization.rejected());
        self.counters().into_iter().map(Counter::rejected).chain([lists])
    }

    fn counters(&self) -> [&Counter; 9] {
        [
            &self.organizations_per_account,
            &self.invites_per_account,
            &self.invites_per_organization,
            &self.invites_per_address,
            &self.previews_per_account,
            &self.previews_per_network,
            &self.joins_per_account,
            &self.joins_per_network,
            &self.sign_ins_per_network,
        ]
    }
}

fn count_one(
    per_account: &Counter,
    account: Option<AccountId>,
    per_network: &Counter,
    network: Option<Network>,
) -> Result<()> {
    let account = account.map(|id| (per_account, Key::Account(id), NonZeroU32::MIN));
    let network = network.map(|network| (per_network, Key::Network(network), NonZeroU32::MIN));
    count(&account.into_iter().chain(network).collect::<Vec<_>>())
}

/// Counts all charges or none. The error gives the longest wait of all exceeded limits, so
/// that a retry after it succeeds.
fn count(charges: &[Charge<'_>]) -> Result<()> {
    let mut worst: Option<(&Counter, LimitError)> = None;
    let mut counted = Vec::with_capacity(charges.len());
    for charge in charges {
        let (counter, key, number) = charge;
        match counter.count(key, *number) {
            Ok(()) => counted.push(charge),
            Err(exceeded) if worst.as_ref().is_none_or(|(_, worst)| *worst < exceeded) => {
                worst = Some((counter, exceeded));
            }
            Err(_) => {}
        }
    }
    let Some((counter, exceeded)) = worst else { return Ok(()) };
    counter.reject();
    for (counter, key, number) in counted {
        counter.refund(key, *number);
    }
    Err(error(counter.what(), exceeded))
}

fn error(what: &str, exceeded: LimitError) -> Error {
    let error =
        |message| Error::new(Kind::ResourceExhausted, message).with_reason(reason::RATE_LIMITED);
    match exceeded {
        LimitError::Wait(wait) => {
            // Rounded up, so that a retry after exactly that time succeeds.
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
            error(format!("too many {what}; try again later"))
                .with_retry_after(Duration::from_millis(millis))
        }
        LimitError::MoreThan(max) => {
            error(format!("too many {what} at once; at most {max} are accepted"))
        }
    }
}

#[cfg(test)]
mod tests;
