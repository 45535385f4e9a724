//! The limits, as operations ask for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Context, MaybeCaller, RequestContext};
use crate::domain::{AccountId, EmailAddress, Network, OrganizationId};
use crate::error::Result;
use crate::limits::Limits;

/// How many invites one request may still make.
pub struct Budget {
    limits: Arc<Limits>,
    account: AccountId,
    organization: OrganizationId,
    spent: AtomicBool,
}

impl Budget {
    /// The caller's, in this organization. Nothing is counted yet.
    pub fn of(cx: &Context, call: &RequestContext, organization: OrganizationId) -> Self {
        let account = call.caller.account.id;
        Self {
            limits: Arc::clone(&cx.limits),
            account,
            organization,
            spent: AtomicBool::new(false),
        }
    }

    /// Counts one link.
    pub fn spend_on_link(&self) -> Result<()> {
        self.spend(1, std::iter::empty())
    }

    /// Counts an email invitation to each of these.
    pub fn spend_on_mail<'a>(
        &self,
        to: impl ExactSizeIterator<Item = &'a EmailAddress>,
    ) -> Result<()> {
        self.spend(to.len(), to.cloned())
    }

    /// To be asked after the caller's authority was checked, and before anything
    /// is written. A transaction that is run again does not count again.
    fn spend(&self, number: usize, to: impl Iterator<Item = EmailAddress>) -> Result<()> {
        if self.spent.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.limits.invites(self.account, self.organization, number, to)?;
        self.spent.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Counts a look at an invite.
pub fn count_preview(cx: &Context, caller: &MaybeCaller) -> Result<()> {
    match caller {
        MaybeCaller::Authenticated(call) => {
            cx.limits.preview(Some(call.caller.account.id), network_of(call))
        }
        MaybeCaller::Anonymous(network) => cx.limits.preview(None, *network),
    }
}

/// Counts a try to join or to decline.
pub fn count_join(cx: &Context, call: &RequestContext) -> Result<()> {
    cx.limits.join(call.caller.account.id, network_of(call))
}

/// The network that stands for the person: not that of a service, which is the
/// same for all its people.
fn network_of(call: &RequestContext) -> Option<Network> {
    if call.caller.acting.is_some() { None } else { call.network }
}
