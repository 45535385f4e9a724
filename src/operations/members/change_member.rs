//! The common steps of changes that an admin makes to a member.

use super::departure::invites_ended;
use crate::domain::{
    Action, EventData, Member, MemberData, MemberId, MemberStatus, OrganizationId, Permission,
    Role, Timestamp,
};
use crate::error::{Error, Result, reason};
use crate::operations::RequestContext;
use crate::operations::access::Access;
use crate::operations::invites::end_all_of;
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::{Tx, members, organizations};

#[derive(Debug, Clone, Copy)]
pub struct MemberOf {
    pub organization: OrganizationId,
    pub member: MemberId,
}

/// A change of one member; the organization's row is locked.
pub(super) struct MemberChange<'a> {
    pub(super) tx: &'a Tx,
    call: &'a RequestContext,
    /// The admin's access; its organization already has the version after the change.
    pub(super) access: Access,
    /// Active or suspended.
    pub(super) member: Member,
    now: Timestamp,
}

/// The error for a change that would leave an organization without an active admin whose membership
/// has no end.
pub(super) fn last_admin() -> Error {
    let what = "an organization needs at least one admin whose membership has no end: make another \
                member such an admin first";
    Error::precondition(reason::LAST_ADMIN, what)
}

impl<'a> MemberChange<'a> {
    /// # Errors
    /// Those of [`Access::to_change`]; NOT_FOUND if the member has left.
    pub(super) async fn begin(
        tx: &'a Tx,
        call: &'a RequestContext,
        who: MemberOf,
        now: Timestamp,
    ) -> Result<Self> {
        let manage = Permission::ManageMembers;
        let mut access = Access::to_change(tx, &call.caller, who.organization, manage, now).await?;
        access.organization.version += 1;
        let member = members::find(tx, who.organization, who.member)
            .await?
            .filter(|member| member.status != MemberStatus::Left)
            .ok_or_else(Error::not_found)?;
        Ok(Self { tx, call, access, member, now })
    }

    /// # Errors
    /// FAILED_PRECONDITION if the member is the last active admin whose membership has no end.
    pub(super) async fn require_another_admin(&self) -> Result<()> {
        let organization = self.access.organization.id;
        if self.member.is_lasting_admin()
            && !members::has_lasting_admin(self.tx, organization, self.member.id).await?
        {
            return Err(last_admin());
        }
        Ok(())
    }

    /// Sets the role. If the new role may not manage invites, the member's invites end.
    pub(super) async fn set_role(self, role: Role) -> Result<()> {
        if !self.access.member.role.may_grant(role) {
            return Err(Error::permission_denied("you cannot grant a role above your own"));
        }
        if role != Role::Admin {
            self.require_another_admin().await?;
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
        let data = MemberData {
            role,
            previous_role: Some(self.member.role),
            ..MemberData::from(&self.member)
        };
        self.record(Action::MemberRoleChanged, data, note).await
    }

    /// Ends the member's invites; returns a note for the audit event.
    pub(super) async fn end_invites(&self) -> Result<String> {
        let organization = self.access.organization.at_version();
        let by = self.access.member.id;
        let actor = self.call.actor();
        let ended = end_all_of(self.tx, organization, self.member.id, by, &actor, self.now).await?;
        Ok(invites_ended(ended))
    }

    /// Stores the organization's version and writes the audit event.
    pub(super) async fn record(self, action: Action, data: MemberData, note: String) -> Result<()> {
        organizations::update(self.tx, &self.access.organization).await?;
        let event = NewEvent {
            action,
            data: EventData::Member(data),
            organization: Some(self.access.organization.at_version()),
            actor: &self.call.actor(),
            note,
        };
        audit_events::append(self.tx, event, self.now).await
    }
}
