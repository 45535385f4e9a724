//! The end of invites as a consequence of other changes, and the events of invites.

use crate::domain::{
    Action, Actor, EndReason, Ending, EventData, Invite, InviteData, MemberId, OrganizationVersion,
    Timestamp,
};
use crate::error::Result;
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::{Tx, invites};

/// Writes an audit event about an invite.
pub(super) async fn record(
    tx: &Tx,
    action: Action,
    data: InviteData,
    version: OrganizationVersion,
    actor: &Actor,
    note: String,
    now: Timestamp,
) -> Result<()> {
    audit_events::append(tx, event(action, data, version, actor, note), now).await
}

pub(in crate::operations) fn event(
    action: Action,
    data: InviteData,
    version: OrganizationVersion,
    actor: &Actor,
    note: String,
) -> NewEvent<'_> {
    NewEvent { action, data: EventData::Invite(data), organization: Some(version), actor, note }
}

/// Ends a live invite as a consequence of another change, with its audit event. The organization's
/// row must be locked; `version` is its version after the change.
pub(in crate::operations) async fn end(
    tx: &Tx,
    invite: &Invite,
    reason: EndReason,
    version: OrganizationVersion,
    actor: &Actor,
    now: Timestamp,
) -> Result<()> {
    invites::end(tx, invite.organization, invite.id, &Ending { at: now, by: None, reason }).await?;
    let data = InviteData::from(invite).ended(reason);
    record(tx, Action::InviteEnded, data, version, actor, reason.as_str().to_owned(), now).await
}

/// Ends every live invite of the member `inviter`, each with an audit event; returns how many. `by`
/// is the member that caused the change.
pub(in crate::operations) async fn end_all_of(
    tx: &Tx,
    organization: OrganizationVersion,
    inviter: MemberId,
    by: MemberId,
    actor: &Actor,
    now: Timestamp,
) -> Result<usize> {
    let reason = EndReason::InviterGone;
    let ending = Ending { at: now, by: Some(by), reason };
    let ended = invites::end_all_of(tx, organization.id, inviter, &ending).await?;
    let events = ended.iter().map(|id| {
        let data = InviteData::of_id(*id).ended(reason);
        event(Action::InviteEnded, data, organization, actor, reason.as_str().to_owned())
    });
    audit_events::append_all(tx, events.collect(), now).await?;
    Ok(ended.len())
}
