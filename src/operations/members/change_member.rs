//! What every change of a member by an admin has in common.

use crate::domain::{
    Action, Member, MemberId, MemberStatus, OrganizationId, Permission, Role, TargetKind, Timestamp,
};
use crate::error::{Error, Result, reason};
use crate::operations::RequestContext;
use crate::operations::access::Access;
use crate::operations::invites::end_all_of;
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::{Tx, members, organizations};

/// A membership, and of which organization.
#[derive(Debug, Clone, Copy)]
pub struct MemberOf {
    /// The organization.
    pub organization: OrganizationId,
    /// The membership.
    pub member: MemberId,
}

/// A member of a locked organization whom an admin is about to change.
pub(super) struct Changing<'a> {
    tx: &'a Tx,
    call: &'a RequestContext,
    /// The admin's place.
    pub(super) access: Access,
    /// The member, who has not left.
    pub(super) member: Member,
    now: Timestamp,
}

impl<'a> Changing<'a> {
    /// Lets an admin change a member.
    pub(super) async fn begin(
        tx: &'a Tx,
        call: &'a RequestContext,
        who: MemberOf,
        now: Timestamp,
    ) -> Result<Self> {
        let manage = Permission::ManageMembers;
        let access = Access::to_change(tx, &call.caller, who.organization, manage).await?;
        let member = members::find(tx, who.organization, who.member)
            .await?
            .filter(|member| member.status != MemberStatus::Left)
            .ok_or_else(Error::not_found)?;
        Ok(Self { tx, call, access, member, now })
    }

    /// Refuses to take the last active admin's authority.
    pub(super) async fn keeps_an_admin(&self) -> Result<()> {
        let is_active_admin =
            self.member.role == Role::Admin && self.member.status == MemberStatus::Active;
        let organization = self.access.organization.id;
        if is_active_admin
            && !members::has_active_admin(self.tx, organization, Some(self.member.id)).await?
        {
            return Err(Error::precondition(
                reason::LAST_ADMIN,
                "an organization keeps at least one admin: make somebody else an admin first",
            ));
        }
        Ok(())
    }

    /// Sets the role; what it could not have invited ends.
    pub(super) async fn set_role(self, role: Role) -> Result<()> {
        if !self.access.member.role.may_grant(role) {
            return Err(Error::permission_denied("nobody grants above their own role"));
        }
        if role != Role::Admin {
            self.keeps_an_admin().await?;
        }
        let organization = self.access.organization.id;
        members::set_role(self.tx, organization, self.member.id, role).await?;
        let mut note = format!("role: {} → {role}", self.member.role);
        if !role.allows(Permission::ManageInvites) {
            let ended = self.end_invites().await?;
            if !ended.is_empty() {
                note = format!("{note}; {ended}");
            }
        }
        self.finish(Action::MemberRoleChanged, note).await
    }

    /// Ends the member's invites; answers the note of it.
    pub(super) async fn end_invites(&self) -> Result<String> {
        let (organization, by) = (self.access.organization.id, self.access.member.id);
        let actor = self.call.actor();
        let ended = end_all_of(self.tx, organization, self.member.id, by, &actor, self.now).await?;
        Ok(invites_ended(ended))
    }

    /// Counts the change and writes its event.
    pub(super) async fn finish(mut self, action: Action, note: String) -> Result<()> {
        self.access.organization.version += 1;
        organizations::update(self.tx, &self.access.organization).await?;
        let event = NewEvent {
            action,
            target_kind: TargetKind::Member,
            target_id: self.member.id.to_string(),
            organization: Some(self.access.organization.id),
            actor: &self.call.actor(),
            note,
        };
        audit_events::append(self.tx, event, self.now).await
    }
}

/// The note of a change that took invites along.
pub(super) fn invites_ended(ended: usize) -> String {
    if ended == 0 { String::new() } else { format!("invites ended: {ended}") }
}
