//! `SetRole`

use super::leave_organization::invites_ended;
use crate::domain::{
    Action, EndReason, Ending, MemberId, MemberStatus, OrganizationId, Permission, Role, TargetKind,
};
use crate::error::{Error, Result, reason};
use crate::operations::access::Access;
use crate::operations::{Call, Context};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::{invites, members, organizations};

/// A role as `gitpod.v1` tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContractRole {
    /// `admin`
    Admin,
    /// Every other role.
    Member,
}

/// Whose role to set, and to what.
#[derive(Debug, Clone, Copy)]
pub struct SetRole {
    /// In which organization.
    pub organization: OrganizationId,
    /// Which membership.
    pub member: MemberId,
    /// Its new role.
    pub role: ContractRole,
}

impl From<Role> for ContractRole {
    fn from(role: Role) -> Self {
        if role == Role::Admin { ContractRole::Admin } else { ContractRole::Member }
    }
}

impl From<ContractRole> for Role {
    fn from(role: ContractRole) -> Self {
        match role {
            ContractRole::Admin => Role::Admin,
            ContractRole::Member => Role::Member,
        }
    }
}

/// Sets a member's role, unless it shows as that role already. Admins may. A
/// demoted admin's invites end in the same transaction.
pub async fn set_role(cx: &Context, call: &Call, input: SetRole) -> Result<()> {
    let now = cx.now();
    let call = call.clone();
    cx.store
        .write(async move |tx| {
            let manage = Permission::ManageMembers;
            let access = Access::to_change(tx, &call.caller, input.organization, manage).await?;
            let mut organization = access.organization;
            let member = members::find(tx, organization.id, input.member)
                .await?
                .filter(|member| member.status != MemberStatus::Left)
                .ok_or_else(Error::not_found)?;
            if ContractRole::from(member.role) == input.role {
                return Ok(());
            }
            let role = Role::from(input.role);
            if !access.member.role.may_grant(role) {
                return Err(Error::permission_denied("nobody grants above their own role"));
            }
            let demotes_active_admin =
                member.role == Role::Admin && member.status == MemberStatus::Active;
            if demotes_active_admin
                && !members::has_active_admin(tx, organization.id, Some(member.id)).await?
            {
                return Err(Error::precondition(
                    reason::LAST_ADMIN,
                    "an organization keeps at least one admin: make somebody else an admin first",
                ));
            }

            members::set_role(tx, organization.id, member.id, role).await?;
            let mut note = format!("role: {} → {role}", member.role);
            if !role.allows(Permission::ManageInvites) {
                let ending =
                    Ending { at: now, by: Some(access.member.id), reason: EndReason::InviterGone };
                let ended = invites::end_all_of(tx, organization.id, member.id, &ending).await?;
                if ended > 0 {
                    note = format!("{note}; {}", invites_ended(ended));
                }
            }
            organization.version += 1;
            organizations::update(tx, &organization).await?;
            let event = NewEvent {
                action: Action::MemberRoleChanged,
                target_kind: TargetKind::Member,
                target_id: member.id.to_string(),
                organization: Some(organization.id),
                actor: &call.actor(),
                note,
            };
            audit_events::append(tx, event, now).await
        })
        .await
}
