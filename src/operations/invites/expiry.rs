//! Ends what has run out of time, so that lists and the audit trail say so. That
//! it lets nobody in is checked where it is used, at the very moment.

use super::record;
use crate::domain::{Action, Actor, EndReason, Ending, Timestamp};
use crate::error::Result;
use crate::storage::{Store, invites, organizations};

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
                let Some(invite) = invites::find(tx, organization, id).await? else {
                    return Ok(false);
                };
                // It may have been sent again since.
                if invite.is_live(now) {
                    return Ok(false);
                }
                let ending = Ending { at: now, by: None, reason: EndReason::Expired };
                let done = invites::end(tx, organization, id, &ending).await?;
                if done {
                    let actor = Actor::system("expiry");
                    let none = String::new();
                    record(tx, Action::InviteExpired, &invite, &actor, none, now).await?;
                }
                Ok(done)
            })
            .await?;
        ended += u64::from(done);
    }
    Ok(ended)
}
