//! Stores the end of expired invites, for lists and the audit trail. Expired invites are
//! already rejected before that: every use checks the expiry.

use std::collections::HashSet;

use super::record;
use crate::domain::{
    Action, Actor, EndReason, Ending, Invite, InviteData, InviteId, OrganizationId,
    OrganizationVersion, Timestamp,
};
use crate::error::{Error, Kind, Result};
use crate::storage::change;
use crate::storage::invites::Expired;
use crate::storage::{Store, Tx, invites, organizations};

/// The result of [`end_expired`].
#[derive(Debug, Default)]
pub struct ExpiryRun {
    pub ended: u64,
    /// The invites that could not be ended, with the errors. After a timeout, for example
    /// for a locked row, the organization's other invites are skipped and not listed here.
    pub failed: Vec<(InviteId, Error)>,
}

/// Ends every expired invite, reading at most `batch` rows at a time. A failure for one
/// invite does not stop the others.
///
/// # Errors
/// If the store cannot be read; invites that were ended before the error stay ended.
pub async fn end_expired(store: &Store, now: Timestamp, batch: u64) -> Result<ExpiryRun> {
    let mut round = ExpiryRun::default();
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
                        // If the whole store fails, the next read returns the error.
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
        .write_in(
            organization,
            change!(async move |tx| {
                let Some(mut organization) = organizations::lock(tx, organization).await? else {
                    return Ok(false);
                };
                // The invite is read again: it may have been resent since the first read.
                let found = invites::find(tx, organization.id, id).await?;
                let Some(invite) = found.filter(|invite| !invite.is_live(now)) else {
                    return Ok(false);
                };
                organization.version += 1;
                let version = organization.at_version();
                let ended = expire(tx, &invite, version, now).await?;
                if ended {
                    organizations::set_version(tx, version).await?;
                }
                Ok(ended)
            }),
        )
        .await
}

/// Ends an expired invite with the time of its expiry; returns whether it was still live in
/// the store. The organization's row must be locked; the caller stores `version` if the
/// invite has ended.
pub(in crate::operations) async fn expire(
    tx: &Tx,
    invite: &Invite,
    version: OrganizationVersion,
    now: Timestamp,
) -> Result<bool> {
    let at = invite.expires_at.unwrap_or(now);
    let ending = Ending { at, by: None, reason: EndReason::Expired };
    let ended = invites::end_live(tx, invite.organization, invite.id, &ending).await?;
    if ended {
        let actor = Actor::system("expiry");
        let data = InviteData::from(invite).ended(EndReason::Expired);
        record(tx, Action::InviteExpired, data, version, &actor, String::new(), now).await?;
    }
    Ok(ended)
}
