//! `LeaveOrganization`, of both contracts

use super::departure::depart;
use crate::domain::{
    Action, Actor, EventData, Member, MemberData, MemberId, MemberStatus, Organization,
    OrganizationId, OrganizationVersion, Permission, Role, Timestamp,
};
use crate::error::{Error, Result, reason};
use crate::operations::access::Access;
use crate::operations::{Context, RequestContext};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::change;
use crate::storage::{Connection, Tx, members};

/// The membership that ends.
#[derive(Debug, Clone, Copy)]
pub enum Leave {
    /// The membership of this member, in the member's organization.
    Member(MemberId),
    /// The caller's own membership.
    Own {
        organization: OrganizationId,
        /// Becomes an admin if the caller is the last active admin whose membership has no end.
        successor: Option<MemberId>,
    },
}

/// Ends a membership: the caller's own or, if the caller is an admin, any. The member's invites and
/// grants end in the same transaction. While there are other members, the last active admin whose
/// membership has no end can leave only with a successor, which becomes an admin in the same
/// transaction.
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
                let access = Access::to_change(tx, &call.caller, organization, leave, now).await?;
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
                let is_last_admin = leaves_no_admin(tx, &organization, &member).await?;
                let actor = call.actor();

                organization.member_count -= 1;
                organization.version += 1;
                if is_last_admin {
                    let version = organization.at_version();
                    promote(tx, &member, successor, version, &actor, now).await?;
                }
                depart(tx, &mut organization, &member, access.member.id, &actor, now).await
            }),
        )
        .await
}

/// Whether a member is the last active admin whose membership has no end, in an organization with
/// other members.
pub(in crate::operations) async fn leaves_no_admin(
    db: &impl Connection,
    organization: &Organization,
    member: &Member,
) -> Result<bool> {
    Ok(member.is_lasting_admin()
        && organization.member_count > 1
        && !members::has_lasting_admin(db, organization.id, member.id).await?)
}

/// Makes the successor of the last admin an admin.
async fn promote(
    tx: &Tx,
    leaving: &Member,
    successor: Option<MemberId>,
    version: OrganizationVersion,
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
    if successor.expires_at.is_some() {
        return Err(last_admin("the successor's membership must have no end"));
    }
    members::set_role(tx, organization, successor.id, Role::Admin).await?;
    let event = NewEvent {
        action: Action::MemberRoleChanged,
        data: EventData::Member(MemberData {
            role: Role::Admin,
            previous_role: Some(successor.role),
            ..MemberData::from(&successor)
        }),
        organization: Some(version),
        actor,
        note: format!("role: {} → {}; succeeds {}", successor.role, Role::Admin, leaving.id),
    };
    audit_events::append(tx, event, now).await
}
