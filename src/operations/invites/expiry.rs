//! Ends what has run out of time, so that lists and the audit trail say so. That
//! it lets nobody in is checked where it is used, at the very moment.

use std::collections::HashSet;

use super::record;
use crate::domain::{
    Action, Actor, EndReason, Ending, Invite, InviteId, OrganizationId, Timestamp,
};
use crate::error::{Error, Kind, Result};
use crate::storage::invites::Expired;
use crate::storage::{Store, Tx, invites, organizations};

/// What one round over the expired invites came to.
#[derive(Debug, Default)]
pub struct Round {
    /// How many invites ended.
    pub ended: u64,
    /// The invites that could not be ended, and why. If the store did not take a change
    /// in time, such as for a locked row, one stands for all of its organization.
    pub failed: Vec<(InviteId, Error)>,
}

/// Ends every invite whose time has run out, reading at most `batch` at a time. One that
/// cannot be ended does not hold up the others.
///
/// # Errors
/// If the store cannot be read; what was ended until then stays ended.
pub async fn end_expired(store: &Store, now: Timestamp, batch: u64) -> Result<Round> {
    let mut round = Round::default();
    let mut held_up = HashSet::new();
    let mut last = None;
    loop {
        let page = invites::expired(store.read(), now, last, batch).await?;
        if page.is_empty() {
            return Ok(round);
        }
        for expired in page {
            last = Some(expired);
            let Expired { organization, id, .. } = expired;
            if held_up.contains(&organization) {
                continue;
            }
            match end_one(store, organization, id, now).await {
                Ok(ended) => round.ended += u64::from(ended),
                Err(error) => {
                    let waited = error.kind == Kind::Unavailable;
                    round.failed.push((id, error));
                    if waited {
                        held_up.insert(organization);
                        // The next read tells whether it is the whole store that fails.
                        break;
                    }
                }
            }
        }
    }
}

async fn end_one(
    store: &Store,
    organization: OrganizationId,
    id: InviteId,
    now: Timestamp,
) -> Result<bool> {
    store
        .write(async move |tx| {
            if organizations::lock(tx, organization).await?.is_none() {
                return Ok(false);
            }
            match invites::find(tx, organization, id).await? {
                // It may have been sent again since.
                Some(invite) if !invite.is_live(now) => expire(tx, &invite, now).await,
                _ => Ok(false),
            }
        })
        .await
}

/// Ends one invite of a locked organization whose time has run out, as of then;
/// answers whether it had not ended before.
pub(in crate::operations) async fn expire(
    tx: &Tx,
    invite: &Invite,
    now: Timestamp,
) -> Result<bool> {
    let at = invite.expires_at.unwrap_or(now);
    let ending = Ending { at, by: None, reason: EndReason::Expired };
    let ended = invites::end_live(tx, invite.organization, invite.id, &ending).await?;
    if ended {
        let actor = Actor::system("expiry");
        record(tx, Action::InviteExpired, invite, &actor, String::new(), now).await?;
    }
    Ok(ended)
}
