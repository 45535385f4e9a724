//! Ends what has run out of time, so that lists and the audit trail say so. That
//! it lets nobody in is checked where it is used, at the very moment.

use super::record;
use crate::domain::{Action, Actor, EndReason, Ending, Invite, Timestamp};
use crate::error::Result;
use crate::storage::{Store, Tx, invites, organizations};

/// Ends at most `limit` invites whose time has run out; answers how many.
///
/// # Errors
/// If the store cannot be used; what was ended until then stays ended.
pub async fn end_expired(store: &Store, now: Timestamp, limit: u64) -> Result<u64> {
    let mut ended = 0;
    for (organization, id) in invites::expired(store.read(), now, limit).await? {
        let done = store
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
            .await?;
        ended += u64::from(done);
    }
    Ok(ended)
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
