//! The rate limits of invites, previews, joins and sign-ins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Context, MaybeCaller, RequestContext};
use crate::domain::{AccountId, EmailAddress, Network, OrganizationId};
use crate::error::Result;
use crate::limits::Limits;

/// Counts the invites of one request against the limits, at most once.
pub struct Budget {
    limits: Arc<Limits>,
    account: AccountId,
    organization: OrganizationId,
    spent: AtomicBool,
}

impl Budget {
    pub fn new(cx: &Context, call: &RequestContext, organization: OrganizationId) -> Self {
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

    /// Counts one email invitation for each address.
    pub fn spend_on_mail<'a>(
        &self,
        to: impl ExactSizeIterator<Item = &'a EmailAddress>,
    ) -> Result<()> {
        self.spend(to.len(), to.cloned())
    }

    /// Must run after the permission check and before the first write. If the store
    /// retries the transaction, the second call does not count again.
    fn spend(&self, number: usize, to: impl Iterator<Item = EmailAddress>) -> Result<()> {
        if self.spent.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.limits.invites(self.account, self.organization, number, to)?;
        self.spent.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Counts one preview of an invite.
pub fn count_preview(cx: &Context, caller: &MaybeCaller) -> Result<()> {
    match caller {
        MaybeCaller::Authenticated(call) => {
            cx.limits.preview(Some(call.caller.account.id), network_of(call))
        }
        MaybeCaller::Anonymous(network) => cx.limits.preview(None, *network),
    }
}

/// Counts one attempt to join or to decline.
pub fn count_join(cx: &Context, call: &RequestContext) -> Result<()> {
    cx.limits.join(call.caller.account.id, network_of(call))
}

/// Counts one step of a sign-in.
pub fn count_sign_in(cx: &Context, caller: &MaybeCaller) -> Result<()> {
    cx.limits.sign_in(match caller {
        MaybeCaller::Authenticated(call) => call.network,
        MaybeCaller::Anonymous(network) => *network,
    })
}

/// The caller's network. `None` for people that a service acts for: all of them share the
/// service's network.
fn network_of(call: &RequestContext) -> Option<Network> {
    if call.caller.acting.is_some() { None } else { call.network }
}
