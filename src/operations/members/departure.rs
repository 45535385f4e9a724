//! The end of one membership, with its grants and invites.

use crate::domain::{
    Action, Actor, Departure, EventData, GrantData, GrantId, Member, MemberData, MemberId,
    MemberStatus, Organization, OrganizationVersion, Timestamp,
};
use crate::error::Result;
use crate::operations::invites::end_all_of;
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::{Tx, grants, members, organizations};

/// Ends a membership with its grants and invites. The organization's row must be locked;
/// `organization` must already have the version and the number of members after the change. `by`:
/// the member that ends the membership.
pub(in crate::operations) async fn depart(
    tx: &Tx,
    organization: &mut Organization,
    member: &Member,
    by: MemberId,
    actor: &Actor,
    now: Timestamp,
) -> Result<()> {
    let version = organization.at_version();
    let removed = by != member.id;
    let departure = Departure { at: now, removed, version: organization.version };
    members::depart(tx, organization.id, member.id, departure).await?;
    if member.expires_at.is_some() {
        organization.next_member_end = members::next_end(tx, organization.id).await?;
    }
    end_grants(tx, version, member.id, actor, now).await?;
    let ended = end_all_of(tx, version, member.id, by, actor, now).await?;
    organizations::update(tx, organization).await?;
    let event = NewEvent {
        action: if removed { Action::MemberRemoved } else { Action::MemberLeft },
        data: EventData::Member(MemberData {
            status: MemberStatus::Left,
            ..MemberData::from(member)
        }),
        organization: Some(version),
        actor,
        note: invites_ended(ended),
    };
    audit_events::append(tx, event, now).await
}

/// The audit note about invites that ended with a change; empty if none did.
pub(super) fn invites_ended(ended: usize) -> String {
    if ended == 0 { String::new() } else { format!("invites ended: {ended}") }
}

/// Deletes a member's grants, with one audit event for each.
async fn end_grants(
    tx: &Tx,
    organization: OrganizationVersion,
    member: MemberId,
    actor: &Actor,
    now: Timestamp,
) -> Result<()> {
    let grants = grants::delete_of_members(tx, &[member]).await?;
    let events = grants.iter().map(|(id, _)| grant_ended(*id, member, organization, actor));
    audit_events::append_all(tx, events.collect(), now).await
}

/// The audit event of a grant that ends with its membership.
pub(super) fn grant_ended(
    id: GrantId,
    member: MemberId,
    organization: OrganizationVersion,
    actor: &Actor,
) -> NewEvent<'_> {
    NewEvent {
        action: Action::GrantEnded,
        data: EventData::Grant(GrantData { id, member, given: None }),
        organization: Some(organization),
        actor,
        note: format!("of member {member}"),
    }
}
