//! `LeaveOrganization`

use super::change_member::invites_ended;
use crate::domain::{
    Action, Actor, Departure, EventData, GrantData, MemberData, MemberId, MemberStatus,
    OrganizationVersion, Permission, Role, Timestamp,
};
use crate::error::{Error, Result, reason};
use crate::operations::access::Access;
use crate::operations::invites::end_all_of;
use crate::operations::{Context, RequestContext};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::{Tx, grants, members, organizations};

/// Ends a membership: the caller's own or, if the caller is an admin, any. The member's
/// invites and grants end in the same transaction.
pub async fn leave_organization(cx: &Context, call: &RequestContext, id: MemberId) -> Result<()> {
    let now = cx.now();
    let organization =
        members::organization_of(cx.store.read(), id).await?.ok_or_else(Error::not_found)?;
    let call = call.clone();
    cx.store
        .write(async move |tx| {
            let leave = Permission::Leave;
            let access = Access::to_change(tx, &call.caller, organization, leave).await?;
            let mut organization = access.organization;
            let member = members::find(tx, organization.id, id)
                .await?
                .filter(|member| member.status != MemberStatus::Left)
                .ok_or_else(Error::not_found)?;
            let removed = member.id != access.member.id;
            if removed && !access.member.role.allows(Permission::ManageMembers) {
                return Err(Error::permission_denied(
                    "only an admin may end another member's membership",
                ));
            }
            let is_active_admin =
                member.role == Role::Admin && member.status == MemberStatus::Active;
            if is_active_admin
                && organization.member_count > 1
                && !members::has_active_admin(tx, organization.id, Some(member.id)).await?
            {
                return Err(Error::precondition(
                    reason::LAST_ADMIN,
                    "the last admin cannot leave while there are other members: make another member \
                     an admin first",
                ));
            }

            organization.member_count -= 1;
            organization.version += 1;
            let departure = Departure { at: now, removed, version: organization.version };
            members::depart(tx, organization.id, member.id, departure).await?;
            let actor = call.actor();
            let version = organization.at_version();
            end_grants(tx, version, member.id, &actor, now).await?;
            let by = access.member.id;
            let ended = end_all_of(tx, version, member.id, by, &actor, now).await?;
            organizations::update(tx, &organization).await?;
            let event = NewEvent {
                action: if removed { Action::MemberRemoved } else { Action::MemberLeft },
                data: EventData::Member(MemberData {
                    status: MemberStatus::Left,
                    ..MemberData::from(&member)
                }),
                organization: Some(version),
                actor: &actor,
                note: invites_ended(ended),
            };
            audit_events::append(tx, event, now).await
        })
        .await
}

/// Deletes a member's grants, with one audit event for each.
async fn end_grants(
    tx: &Tx,
    organization: OrganizationVersion,
    member: MemberId,
    actor: &Actor,
    now: Timestamp,
) -> Result<()> {
    let grants = grants::delete_of_member(tx, member).await?;
    let events = grants.iter().map(|id| NewEvent {
        action: Action::GrantEnded,
        data: EventData::Grant(GrantData { id: *id, member, given: None }),
        organization: Some(organization),
        actor,
        note: format!("of member {member}"),
    });
    audit_events::append_all(tx, events.collect(), now).await
}
