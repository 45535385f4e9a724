//! `guestlist.v1.MemberService/TransferOwnership`

use super::change_member::{MemberOf, last_admin};
use super::departure::invites_ended;
use crate::domain::{
    Action, EventData, Member, MemberData, MemberStatus, OrganizationVersion, Permission, Role,
};
use crate::error::{Error, Result, reason};
use crate::operations::access::Access;
use crate::operations::invites::end_all_of;
use crate::operations::{Context, RequestContext};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::{change, members, organizations};

/// Makes another member an admin and gives the caller, an admin, another role, in one change.
/// If that role may not manage invites, the caller's invites end.
pub async fn transfer_ownership(
    cx: &Context,
    call: &RequestContext,
    to: MemberOf,
    own_role: Role,
) -> Result<()> {
    let now = cx.now();
    let call = call.clone();
    let transfer = change!(async move |tx| {
        let manage = Permission::ManageMembers;
        let access = Access::to_change(tx, &call.caller, to.organization, manage, now).await?;
        let (mut organization, own) = (access.organization, access.member);
        if to.member == own.id {
            return Err(Error::invalid("member_id", "must be another member"));
        }
        let other = members::find(tx, organization.id, to.member)
            .await?
            .filter(|member| member.status != MemberStatus::Left)
            .ok_or_else(Error::not_found)?;
        if other.status != MemberStatus::Active {
            let what = "the member is suspended: restore the member first";
            return Err(Error::precondition(reason::SUSPENDED, what));
        }
        let caller = members::find(tx, organization.id, own.id).await?;
        let caller = caller.ok_or_else(Error::not_found)?;
        if other.role == Role::Admin && caller.role == own_role {
            return Ok(());
        }
        if own_role != Role::Admin
            && caller.is_lasting_admin()
            && other.expires_at.is_some()
            && !members::has_lasting_admin(tx, organization.id, caller.id).await?
        {
            return Err(last_admin());
        }
        organization.version += 1;
        let (version, actor) = (organization.at_version(), call.actor());
        organizations::set_version(tx, version).await?;
        let mut events = Vec::new();
        if other.role != Role::Admin {
            members::set_role(tx, organization.id, other.id, Role::Admin).await?;
            let note = format!("role: {} → admin; by {}", other.role, caller.id);
            events.push((changed(&other, Role::Admin), note));
        }
        if caller.role != own_role {
            members::set_role(tx, organization.id, caller.id, own_role).await?;
            let mut note = format!("role: {} → {own_role}; to {}", caller.role, other.id);
            if !own_role.allows(Permission::ManageInvites) {
                let ended = end_all_of(tx, version, caller.id, caller.id, &actor, now).await?;
                if ended > 0 {
                    note = format!("{note}; {}", invites_ended(ended));
                }
            }
            events.push((changed(&caller, own_role), note));
        }
        let events = events.into_iter().map(|(data, note)| event(data, version, &actor, note));
        audit_events::append_all(tx, events.collect(), now).await
    });
    cx.store.write_in(to.organization, transfer).await
}

fn changed(member: &Member, role: Role) -> MemberData {
    MemberData { role, previous_role: Some(member.role), ..MemberData::from(member) }
}

fn event(
    data: MemberData,
    organization: OrganizationVersion,
    actor: &crate::domain::Actor,
    note: String,
) -> NewEvent<'_> {
    let (action, data) = (Action::MemberRoleChanged, EventData::Member(data));
    NewEvent { action, data, organization: Some(organization), actor, note }
}
