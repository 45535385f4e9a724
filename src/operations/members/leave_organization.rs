//! `LeaveOrganization`, of both contracts

use super::change_member::invites_ended;
use crate::domain::{
    Action, Actor, Departure, Member, MemberId, MemberStatus, OrganizationId, Permission, Role,
    TargetKind, Timestamp,
};
use crate::error::{Error, Result, reason};
use crate::operations::access::Access;
use crate::operations::invites::end_all_of;
use crate::operations::{Context, RequestContext};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::change;
use crate::storage::{Tx, grants, members, organizations};

/// Whose membership ends.
#[derive(Debug, Clone, Copy)]
pub enum Leave {
    /// That of this member, in its organization.
    Member(MemberId),
    /// The caller's own.
    Own {
        organization: OrganizationId,
        /// Becomes an admin if the caller is the last active one.
        successor: Option<MemberId>,
    },
}

/// Ends a membership: the caller's own or, if the caller is an admin, any. The member's
/// invites and grants end in the same transaction. The last active admin leaves others only
/// with a successor, who becomes an admin in the same transaction.
pub async fn leave_organization(cx: &Context, call: &RequestContext, leave: Leave) -> Result<()> {
    let now = cx.now();
    let (organization, id, successor) = match leave {
        Leave::Own { organization, successor } => (organization, None, successor),
        Leave::Member(id) => {
            let organization = members::organization_of(cx.store.read(), id).await?;
            (organization.ok_or_else(Error::not_found)?, Some(id), None)
        }
    };
    let call = call.clone();
    cx.store
        .write_in(
            organization,
            change!(async move |tx| {
                let leave = Permission::Leave;
                let access = Access::to_change(tx, &call.caller, organization, leave).await?;
                let mut organization = access.organization;
                let member = members::find(tx, organization.id, id.unwrap_or(access.member.id))
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
                let is_last_admin = is_active_admin
                    && organization.member_count > 1
                    && !members::has_active_admin(tx, organization.id, Some(member.id)).await?;
                let actor = call.actor();
                if is_last_admin {
                    promote(tx, &member, successor, &actor, now).await?;
                }

                organization.member_count -= 1;
                organization.version += 1;
                let departure = Departure { at: now, removed, version: organization.version };
                members::depart(tx, organization.id, member.id, departure).await?;
                end_grants(tx, organization.id, member.id, &actor, now).await?;
                let by = access.member.id;
                let ended = end_all_of(tx, organization.id, member.id, by, &actor, now).await?;
                organizations::update(tx, &organization).await?;
                let event = NewEvent {
                    action: if removed { Action::MemberRemoved } else { Action::MemberLeft },
                    target_kind: TargetKind::Member,
                    target_id: member.id.to_string(),
                    organization: Some(organization.id),
                    actor: &actor,
                    note: invites_ended(ended),
                };
                audit_events::append(tx, event, now).await
            }),
        )
        .await
}

/// Makes the successor of the last admin an admin.
async fn promote(
    tx: &Tx,
    leaving: &Member,
    successor: Option<MemberId>,
    actor: &Actor,
    now: Timestamp,
) -> Result<()> {
    let last_admin = |message: &str| Error::precondition(reason::LAST_ADMIN, message);
    let successor = successor.ok_or_else(|| {
        last_admin(
            "the last admin cannot leave while there are other members: make another member an \
             admin first",
        )
    })?;
    let organization = leaving.organization;
    let successor = members::find(tx, organization, successor)
        .await?
        .filter(|member| member.status == MemberStatus::Active && member.id != leaving.id)
        .ok_or_else(|| last_admin("the successor must be another active member"))?;
    members::set_role(tx, organization, successor.id, Role::Admin).await?;
    let event = NewEvent {
        action: Action::MemberRoleChanged,
        target_kind: TargetKind::Member,
        target_id: successor.id.to_string(),
        organization: Some(organization),
        actor,
        note: format!("role: {} → {}; succeeds {}", successor.role, Role::Admin, leaving.id),
    };
    audit_events::append(tx, event, now).await
}

/// Deletes a member's grants, with one audit event for each.
async fn end_grants(
    tx: &Tx,
    organization: OrganizationId,
    member: MemberId,
    actor: &Actor,
    now: Timestamp,
) -> Result<()> {
    let grants = grants::delete_of_member(tx, member).await?;
    let events = grants.iter().map(|id| NewEvent {
        action: Action::GrantEnded,
        target_kind: TargetKind::Grant,
        target_id: id.to_string(),
        organization: Some(organization),
        actor,
        note: format!("of member {member}"),
    });
    audit_events::append_all(tx, events.collect(), now).await
}
