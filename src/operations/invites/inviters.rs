//! Invites whose inviter's membership has expired. Such an invite has ended with the membership,
//! even if the store does not contain this end yet.

use crate::domain::{EndReason, Invite, MemberId, Organization, Timestamp};
use crate::error::Result;
use crate::operations::access::Access;
use crate::storage::{Connection, members};

/// Whether the membership of an invite's inviter has expired. Runs no statement if the organization
/// has no expired membership that is still stored as current.
pub async fn inviter_membership_expired(
    db: &impl Connection,
    organization: &Organization,
    invite: &Invite,
    now: Timestamp,
) -> Result<bool> {
    if !organization.has_due_members(now) {
        return Ok(false);
    }
    let ended = members::ended_among(db, organization.id, &[invite.inviter], now).await?;
    Ok(!ended.is_empty())
}

/// Shows a live invite as ended if the membership of its inviter has expired.
pub(super) async fn as_of_inviters<T>(
    db: &impl Connection,
    access: &Access,
    mut rows: Vec<(Invite, T)>,
    now: Timestamp,
) -> Result<Vec<(Invite, T)>> {
    if access.due(now).is_none() {
        return Ok(rows);
    }
    let inviters: Vec<MemberId> = rows.iter().map(|(invite, _)| invite.inviter).collect();
    let ended = members::ended_among(db, access.organization.id, &inviters, now).await?;
    for (invite, _) in &mut rows {
        if let Some(end) = ended.get(&invite.inviter)
            && invite.expires_at.is_none_or(|expiry| *end <= expiry)
        {
            *invite = invite.clone().shown_ended(*end, EndReason::InviterGone);
        }
    }
    Ok(rows)
}
