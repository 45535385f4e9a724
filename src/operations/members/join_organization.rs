//! `JoinOrganization`
//!
//! One operation for every door, in one transaction under the organization's
//! row lock. The order of the rules is part of the contract: a retry after a
//! lost answer comes first, then whether the way in exists at all, and only then
//! what the caller may be told about it.

use std::sync::Arc;

use futures_util::future::try_join;

use super::{Admission, admit};
use crate::auth::Issuers;
use crate::domain::{
    Action, Departure, EndReason, Ending, Grant, GrantId, Invite, InviteId, JoinedBy, Member,
    MemberProfile, MemberStatus, Organization, OrganizationId, Role, TargetKind, Timestamp,
};
use crate::error::{Error, Result, reason};
use crate::operations::access::suspended;
use crate::operations::budget::count_join;
use crate::operations::invites::{InviteName, expire, find_again, find_named};
use crate::operations::{Call, Context};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::{Tx, grants, invites, members, organizations};

/// How to get in.
#[derive(Debug, Clone, Copy)]
pub enum JoinBy {
    /// With an invite.
    Invite(InviteName),
    /// The same, but only into this organization.
    InviteTo(OrganizationId, InviteName),
    /// By the organization's id: as its creator, or by mail domain.
    Organization(OrganizationId),
}

/// Makes the caller a member, or answers the membership there is.
pub async fn join_organization(cx: &Context, call: &Call, by: JoinBy) -> Result<MemberProfile> {
    count_join(cx, call)?;
    let now = cx.now();
    // Looked up without a lock, for the organization to lock; everything is read
    // again under it. Unknown tokens never reach the writer.
    let (organization, named) = match by {
        JoinBy::Organization(id) => (id, None),
        JoinBy::Invite(name) | JoinBy::InviteTo(_, name) => {
            let (invite, organization) = find_named(cx.store.read(), call, &name).await?;
            (organization.id, Some((name, invite.id)))
        }
    };
    if matches!(by, JoinBy::InviteTo(expected, _) if expected != organization) {
        return Err(Error::not_found());
    }
    if !call.caller.reaches(organization) {
        return Err(Error::not_found());
    }
    let (issuers, call) = (Arc::clone(&cx.issuers), call.clone());
    cx.store
        .write(async move |tx| {
            // Asked together and done in this order: the membership is read under the lock.
            let locked = organizations::lock(tx, organization);
            let current = members::current(tx, organization, call.caller.account.id);
            let (locked, current) = try_join(locked, current).await?;
            let organization = locked.ok_or_else(Error::not_found)?;
            let joining = Joining { tx, call: &call, issuers: &issuers, organization, now };
            match named {
                Some((name, id)) => joining.with_invite(current, &name, id).await,
                None => joining.by_id(current).await,
            }
        })
        .await
}

/// Somebody at the door of a locked organization.
struct Joining<'a> {
    tx: &'a Tx,
    call: &'a Call,
    issuers: &'a Issuers,
    organization: Organization,
    now: Timestamp,
}

impl Joining<'_> {
    async fn with_invite(
        mut self,
        current: Option<Member>,
        name: &InviteName,
        id: InviteId,
    ) -> Result<MemberProfile> {
        if let Some(member) = &current
            && member.status == MemberStatus::Active
            && member.invite == Some(id)
        {
            return Ok(self.profile(member.clone()));
        }
        let (tx, now) = (self.tx, self.now);
        let invite = find_again(tx, self.call, name, self.organization.id, id).await?;
        if !invite.is_live(now) {
            return Err(Error::not_found());
        }
        if let Some(member) = current {
            return self.already_there(member, &invite).await;
        }
        if let Some(left) = self.removal().await?
            && invite.version <= left.version
        {
            return Err(Error::not_found());
        }
        self.inviter_stands(&invite).await?;
        self.may_use(&invite)?;
        self.require_seat()?;
        self.consume(&invite).await?;
        let admission = Admission {
            account: &self.call.caller.account,
            role: invite.role,
            by: JoinedBy::Invite,
            invite: Some(invite.id),
            reserved: invite.member,
            actor: &self.call.actor(),
        };
        let joined = admit(tx, &mut self.organization, admission, now).await?;
        self.record_grant(&joined.member, &invite).await?;
        self.end_pending_invitation().await?;
        Ok(joined)
    }

    async fn by_id(mut self, current: Option<Member>) -> Result<MemberProfile> {
        if let Some(member) = current {
            return match member.status {
                MemberStatus::Active => Ok(self.profile(member)),
                _ => Err(suspended()),
            };
        }
        let account = &self.call.caller.account;
        let has_admin = members::has_active_admin(self.tx, self.organization.id, None).await?;
        let domain = account.profile.verified_email().and_then(|email| email.domain());
        let invited = domain.is_some_and(|own| self.organization.invite_domains.contains(&own));
        let (role, by) = if !has_admin && self.organization.creator == account.id {
            (Role::Admin, JoinedBy::Creation)
        } else if has_admin && invited {
            (Role::Member, JoinedBy::Domain)
        } else {
            return Err(Error::not_found());
        };
        if self.removal().await?.is_some() {
            return Err(Error::not_found());
        }
        self.require_seat()?;
        let actor = self.call.actor();
        let admission =
            Admission { account, role, by, invite: None, reserved: None, actor: &actor };
        let joined = admit(self.tx, &mut self.organization, admission, self.now).await?;
        self.end_pending_invitation().await?;
        Ok(joined)
    }

    fn profile(&self, member: Member) -> MemberProfile {
        MemberProfile { member, profile: self.call.caller.account.profile.clone() }
    }

    /// A member stays what they are. Only a link to content that they have no
    /// grant for goes on, to record it.
    async fn already_there(&self, member: Member, invite: &Invite) -> Result<MemberProfile> {
        if member.status != MemberStatus::Active {
            return Err(suspended());
        }
        if let Some(content) = &invite.content
            && !grants::exists(self.tx, member.id, content).await?
        {
            self.inviter_stands(invite).await?;
            self.may_use(invite)?;
            self.consume(invite).await?;
            self.record_grant(&member, invite).await?;
        }
        Ok(self.profile(member))
    }

    /// The caller's last departure, if an admin removed them.
    async fn removal(&self) -> Result<Option<Departure>> {
        let account = self.call.caller.account.id;
        let last = members::last_departure(self.tx, self.organization.id, account).await?;
        Ok(last.filter(|left| left.removed))
    }

    /// Whatever ends an inviter's authority ends the invite as well; this holds
    /// even if a row was edited by hand.
    async fn inviter_stands(&self, invite: &Invite) -> Result<()> {
        let inviter = members::find(self.tx, self.organization.id, invite.inviter).await?;
        let granted = invite.content.as_ref().map_or(invite.role, |content| content.level);
        let stands = inviter.is_some_and(|inviter| {
            inviter.status == MemberStatus::Active && inviter.role.may_grant(granted)
        });
        if stands { Ok(()) } else { Err(Error::not_found()) }
    }

    /// The rules about whose address and which sign-in. Whoever holds a live invite
    /// is told why it is not for them, without the address it is for.
    fn may_use(&self, invite: &Invite) -> Result<()> {
        let denied =
            |reason, message: &str| Err(Error::permission_denied(message).with_reason(reason));
        let account = &self.call.caller.account;
        let own = account.profile.verified_email();
        let needs_address = invite.email.is_some() || !invite.allowed_domains.is_empty();
        if needs_address && own.is_none() {
            return denied(reason::EMAIL_UNVERIFIED, "your account has no verified mail address");
        }
        if invite.email.is_some() && invite.email.as_ref() != own {
            return denied(reason::EMAIL_MISMATCH, "this invitation is for another address");
        }
        if !invite.allowed_domains.is_empty() {
            let domain = own.and_then(|email| email.domain());
            if domain.is_none_or(|domain| !invite.allowed_domains.contains(&domain)) {
                let what = "this link is not for addresses of your mail domain";
                return denied(reason::DOMAIN_NOT_ALLOWED, what);
            }
        }
        if invite.sso && !self.issuers.is_sso_of(&account.issuer, self.organization.id) {
            let what = "this invitation needs the organization's single sign-on";
            return denied(reason::SSO_REQUIRED, what);
        }
        Ok(())
    }

    fn require_seat(&self) -> Result<()> {
        if self.organization.has_seat() {
            return Ok(());
        }
        let what = "every seat of this organization is taken";
        Err(Error::precondition(reason::SEAT_LIMIT, what))
    }

    async fn consume(&self, invite: &Invite) -> Result<()> {
        match invites::consume(self.tx, invite, self.now).await? {
            true => Ok(()),
            false => Err(Error::not_found()),
        }
    }

    async fn record_grant(&self, member: &Member, invite: &Invite) -> Result<()> {
        let Some(content) = &invite.content else { return Ok(()) };
        let grant = Grant {
            id: GrantId::generate(self.now),
            member: member.id,
            content: content.clone(),
            invite: invite.id,
            created_at: self.now,
        };
        grants::insert(self.tx, self.organization.id, &grant).await?;
        let event = NewEvent {
            action: Action::GrantCreated,
            target_kind: TargetKind::Grant,
            target_id: grant.id.to_string(),
            organization: Some(self.organization.id),
            actor: &self.call.actor(),
            note: format!(
                "{} in {} {} to member {}",
                content.level,
                content.kind.as_str(),
                content.id.as_str(),
                member.id
            ),
        };
        audit_events::append(self.tx, event, self.now).await
    }

    /// Nobody is invited who is there.
    async fn end_pending_invitation(&self) -> Result<()> {
        let Some(own) = self.call.caller.account.profile.verified_email() else { return Ok(()) };
        let organization = self.organization.id;
        let pending = invites::pending_of_address(self.tx, organization, own).await?;
        let Some(pending) = pending else { return Ok(()) };
        if !pending.is_live(self.now) {
            return expire(self.tx, &pending, self.now).await.map(drop);
        }
        let ending = Ending { at: self.now, by: None, reason: EndReason::AlreadyMember };
        invites::end(self.tx, organization, pending.id, &ending).await
    }
}
