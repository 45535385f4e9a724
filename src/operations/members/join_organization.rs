//! `JoinOrganization`
//!
//! All ways to join, in one transaction that locks the organization's row. The order of the checks
//! is part of the contract: first a retry of a successful join, then whether the invite or
//! organization exists for this caller (NOT_FOUND), then the rules, for which the error may be more
//! precise.

use std::sync::Arc;

use futures_util::future::try_join3;

use super::admit::{Admission, admit, pending_invitation, require_seat};
use super::expiry::end_due;
use crate::auth::Issuers;
use crate::domain::{
    Account, Action, Attributes, DomainMode, EndReason, EventData, Grant, GrantData, GrantId,
    Invite, InviteId, InviteKind, JoinRequest, JoinRequestId, JoinedBy, Member, MemberProfile,
    MemberStatus, Organization, OrganizationId, OrganizationVersion, Role, Timestamp,
};
use crate::error::{Error, Kind, Result, reason};
use crate::operations::access::{account_is_gone, suspended};
use crate::operations::attributes::inherited;
use crate::operations::budget::count_join;
use crate::operations::domains::proved_mode;
use crate::operations::invites::{TokenOrId, end, find_by_token_or_id, find_under_lock};
use crate::operations::join_requests::{end as end_request, request_to_join};
use crate::operations::{Context, RequestContext, Rules};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::change;
use crate::storage::{Tx, accounts, grants, invites, join_requests, members, organizations};

#[derive(Debug, Clone, Copy)]
pub enum JoinBy {
    Invite(TokenOrId),
    /// With an email invitation.
    Invitation(TokenOrId),
    /// With an invite, which must belong to this organization.
    InviteTo(OrganizationId, TokenOrId),
    /// By the organization's id: as its creator, or by mail domain.
    Organization(OrganizationId),
}

/// Whether the caller requests to become a member at once, or only sends a request to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::operations) enum Entry {
    Join,
    Request,
}

/// The result of `enter`.
#[derive(Debug)]
pub(in crate::operations) enum Entered {
    Member(MemberProfile),
    /// The request waits for an admin.
    Requested(JoinRequest),
}

/// Makes the caller a member, or returns the existing membership.
///
/// # Errors
/// FAILED_PRECONDITION `APPROVAL_PENDING` for a link that needs approval: a new request to join is
/// committed, or one is already pending.
pub async fn join_organization(
    cx: &Context,
    call: &RequestContext,
    by: JoinBy,
) -> Result<MemberProfile> {
    match enter(cx, call, by, Entry::Join).await? {
        Entered::Member(member) => Ok(member),
        Entered::Requested(_) => {
            let what = "an admin of the organization must approve your request to join";
            Err(Error::precondition(reason::APPROVAL_PENDING, what))
        }
    }
}

/// Joins or requests to join, under the same rules.
pub(in crate::operations) async fn enter(
    cx: &Context,
    call: &RequestContext,
    by: JoinBy,
    entry: Entry,
) -> Result<Entered> {
    count_join(cx, call)?;
    let now = cx.now();
    // A first lookup without a lock finds the organization to lock, so that requests with
    // unknown tokens never use a write transaction. Under the lock everything is read again.
    let (organization, named) = match by {
        JoinBy::Organization(id) => (id, None),
        JoinBy::Invite(name) | JoinBy::Invitation(name) | JoinBy::InviteTo(_, name) => {
            let (invite, organization) = find_by_token_or_id(cx.store.read(), call, &name).await?;
            if matches!(by, JoinBy::Invitation(_)) && invite.kind != InviteKind::Email {
                return Err(Error::not_found());
            }
            (organization.id, Some((name, invite.id)))
        }
    };
    if matches!(by, JoinBy::InviteTo(expected, _) if expected != organization) {
        return Err(Error::not_found());
    }
    if !call.caller.reaches(organization) {
        return Err(Error::not_found());
    }
    let (issuers, call, rules) = (Arc::clone(&cx.issuers), call.clone(), cx.rules);
    cx.store
        .write_in(
            organization,
            change!(async move |tx| {
                let id = call.caller.account.id;
                // The three statements are sent together and run in this order: account and
                // membership are read under the organization's lock.
                let locked = organizations::lock(tx, organization);
                let joiner = accounts::lock_joiner(tx, id, organization);
                let current = members::current(tx, organization, id);
                let (locked, joiner, current) = try_join3(locked, joiner, current).await?;
                let organization = locked.ok_or_else(Error::not_found)?;
                // An expired membership does not count here: it is ended before a new one is
                // inserted.
                let current = current.filter(|member| member.is_current(now));
                let mut joiner = joiner.ok_or_else(account_is_gone)?;
                issuers.limit(&mut joiner.account);
                let joining = Joining {
                    tx,
                    call: &call,
                    issuers: &issuers,
                    rules,
                    entry,
                    account: joiner.account,
                    removed_at: joiner.removed_at,
                    request: joiner.request,
                    organization,
                    now,
                };
                match named {
                    Some((name, id)) => joining.with_invite(current, &name, id).await,
                    None => joining.by_organization_id(current).await,
                }
            }),
        )
        .await
}

/// A join in progress; the organization's row is locked.
struct Joining<'a> {
    tx: &'a Tx,
    call: &'a RequestContext,
    issuers: &'a Issuers,
    rules: Rules,
    entry: Entry,
    /// The caller's account, read in this transaction.
    account: Account,
    /// The organization's version when an admin last removed the caller, even if the caller
    /// joined and left again after it.
    removed_at: Option<i64>,
    /// The caller's pending request to join.
    request: Option<JoinRequestId>,
    organization: Organization,
    now: Timestamp,
}

impl Joining<'_> {
    async fn with_invite(
        mut self,
        current: Option<Member>,
        name: &TokenOrId,
        id: InviteId,
    ) -> Result<Entered> {
        if let Some(member) = &current
            && member.status == MemberStatus::Active
            && member.invite == Some(id)
        {
            return self.as_member(member.clone());
        }
        let mut invite = self.find_live(name, id).await?;
        if end_due(self.tx, &mut self.organization, self.now).await? {
            // The invite may have ended with its inviter's membership.
            invite = self.find_live(name, id).await?;
        }
        if let Some(member) = current {
            self.require_may_be_member()?;
            return self.join_again(member, &invite).await.map(Entered::Member);
        }
        if self.removed_at.is_some_and(|removed_at| invite.version <= removed_at) {
            return Err(Error::not_found());
        }
        self.require_inviter_authority(&invite).await?;
        self.check_restrictions(&invite)?;
        if invite.requires_approval {
            return self.create_request(Some(invite.id)).await;
        }
        self.reject_unneeded_request()?;
        self.join_with(&invite).await.map(Entered::Member)
    }

    async fn find_live(&self, name: &TokenOrId, id: InviteId) -> Result<Invite> {
        let found = find_under_lock(self.tx, self.call, name, self.organization.id, id).await?;
        if found.is_live(self.now) { Ok(found) } else { Err(Error::not_found()) }
    }

    /// Creates a request to join that has passed all checks.
    async fn create_request(self, invite: Option<InviteId>) -> Result<Entered> {
        let by = (self.account.id, invite);
        let actor = self.call.actor();
        let request = request_to_join(self.tx, self.organization, by, &actor, self.now).await?;
        Ok(Entered::Requested(request))
    }

    /// The result for a caller that is already an active member.
    fn as_member(&self, member: Member) -> Result<Entered> {
        self.require_may_be_member()?;
        Ok(Entered::Member(self.profile(member)))
    }

    /// # Errors
    /// ALREADY_EXISTS if the caller, a member, requests to join.
    fn require_may_be_member(&self) -> Result<()> {
        match self.entry {
            Entry::Join => Ok(()),
            Entry::Request => Err(Error::new(Kind::AlreadyExists, "you are a member already")
                .with_reason(reason::ALREADY_MEMBER)),
        }
    }

    /// # Errors
    /// FAILED_PRECONDITION if the caller requests to join, but may join without approval.
    fn reject_unneeded_request(&self) -> Result<()> {
        match self.entry {
            Entry::Join => Ok(()),
            Entry::Request => {
                let what = "you may join without a request";
                Err(Error::precondition(reason::NO_APPROVAL_NEEDED, what))
            }
        }
    }

    /// Makes the caller a member by an invite that has passed all checks.
    async fn join_with(mut self, invite: &Invite) -> Result<MemberProfile> {
        require_seat(&self.organization)?;
        self.consume(invite).await?;
        let admission = Admission {
            account: &self.account,
            role: invite.role,
            by: JoinedBy::Invite,
            invite: Some(invite),
            reserved: invite.member,
            attributes: inherited(self.tx, invite).await?,
            expires_at: invite.member_end.map(|end| end.of(self.now)),
            actor: &self.call.actor(),
        };
        let joined = admit(self.tx, &mut self.organization, admission, self.now).await?;
        self.record_grant(&joined.member, invite).await?;
        if let Some(pending) = self.pending_invitation(self.organization.at_version()).await? {
            self.end_as_already_member(&pending).await?;
        }
        self.end_request().await?;
        Ok(joined)
    }

    async fn by_organization_id(mut self, current: Option<Member>) -> Result<Entered> {
        if let Some(member) = current {
            return match member.status {
                MemberStatus::Active => self.as_member(member),
                _ => Err(suspended()),
            };
        }
        let has_admin = members::has_active_admin(self.tx, self.organization.id, self.now).await?;
        let (role, by) = if !has_admin && self.organization.creator == self.account.id {
            (Role::Admin, JoinedBy::Creation)
        } else if has_admin {
            match self.domain_mode().await? {
                DomainMode::Automatic => (Role::Member, JoinedBy::Domain),
                DomainMode::OnRequest if self.entry == Entry::Request => {
                    end_due(self.tx, &mut self.organization, self.now).await?;
                    return match self.removed_at {
                        Some(_) => Err(Error::not_found()),
                        None => self.create_request(None).await,
                    };
                }
                DomainMode::OnRequest | DomainMode::InviteOnly => return Err(Error::not_found()),
            }
        } else {
            return Err(Error::not_found());
        };
        if self.removed_at.is_some() {
            return Err(Error::not_found());
        }
        self.reject_unneeded_request()?;
        end_due(self.tx, &mut self.organization, self.now).await?;
        // If the pending invitation has expired, it ends with the version that the join will have.
        let version = self.organization.version + 1;
        let version = OrganizationVersion { version, ..self.organization.at_version() };
        let pending = self.pending_invitation(version).await?;
        if let Some(invite) = &pending
            && !role.may_grant(invite.role)
            && self.require_inviter_authority(invite).await.is_ok()
            && self.check_restrictions(invite).is_ok()
        {
            return self.join_with(invite).await.map(Entered::Member);
        }
        require_seat(&self.organization)?;
        let (account, actor) = (&self.account, self.call.actor());
        let admission = Admission {
            account,
            role,
            by,
            invite: None,
            reserved: None,
            attributes: Attributes::default(),
            expires_at: None,
            actor: &actor,
        };
        let joined = admit(self.tx, &mut self.organization, admission, self.now).await?;
        if let Some(pending) = pending {
            self.end_as_already_member(&pending).await?;
        }
        self.end_request().await?;
        Ok(Entered::Member(joined))
    }

    /// The mode of the domain of the caller's verified address. A domain in `invite_domains` counts
    /// as `Automatic`; if the rules require a proof, only when the organization has proved it.
    async fn domain_mode(&self) -> Result<DomainMode> {
        let email = self.account.profile.verified_email();
        let Some(own) = email.and_then(|email| email.domain()) else {
            return Ok(DomainMode::InviteOnly);
        };
        let is_stated = self.organization.invite_domains.contains(&own);
        if is_stated && !self.rules.require_domain_proof {
            return Ok(DomainMode::Automatic);
        }
        let (id, checks) = (self.organization.id, self.rules.domain_checks);
        Ok(match proved_mode(self.tx, id, &own, checks, self.now).await? {
            Some(_) if is_stated => DomainMode::Automatic,
            Some(mode) => mode,
            None => DomainMode::InviteOnly,
        })
    }

    fn profile(&self, member: Member) -> MemberProfile {
        MemberProfile { member, profile: self.account.profile.clone() }
    }

    /// The result for a caller that is already a member: the role does not change. The invite is
    /// used only if it is a link to content for which the member has no grant; this adds the grant.
    async fn join_again(mut self, member: Member, invite: &Invite) -> Result<MemberProfile> {
        if member.status != MemberStatus::Active {
            return Err(suspended());
        }
        if let Some(content) = &invite.content
            && !grants::exists(self.tx, member.id, content).await?
        {
            self.require_inviter_authority(invite).await?;
            self.check_restrictions(invite)?;
            self.consume(invite).await?;
            self.organization.version += 1;
            organizations::set_version(self.tx, self.organization.at_version()).await?;
            self.record_grant(&member, invite).await?;
        }
        Ok(self.profile(member))
    }

    /// Rejects an invite whose inviter lost the right to make it. Operations that remove this right
    /// also end the invites; this check covers rows that were edited by hand.
    async fn require_inviter_authority(&self, invite: &Invite) -> Result<()> {
        let inviter = members::find(self.tx, self.organization.id, invite.inviter).await?;
        let granted = invite.content.as_ref().map_or(invite.role, |content| content.level);
        let stands = inviter.is_some_and(|inviter| {
            inviter.status == MemberStatus::Active && inviter.role.may_grant(granted)
        });
        if stands { Ok(()) } else { Err(Error::not_found()) }
    }

    /// Checks the invite's restrictions to addresses, domains and single sign-on. The caller
    /// holds a live invite, so the error names the violated restriction, but not the
    /// invited address.
    fn check_restrictions(&self, invite: &Invite) -> Result<()> {
        let denied =
            |reason, message: &str| Err(Error::permission_denied(message).with_reason(reason));
        let own = self.account.profile.verified_email();
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
        if invite.sso && !self.issuers.is_sso_of(&self.account.issuer, self.organization.id) {
            let what = "this invitation needs the organization's single sign-on";
            return denied(reason::SSO_REQUIRED, what);
        }
        Ok(())
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
            data: EventData::Grant(GrantData {
                id: grant.id,
                member: member.id,
                given: Some((content.clone(), invite.id, invite.is_last_use())),
            }),
            organization: Some(self.organization.at_version()),
            actor: &self.call.actor(),
            note: format!(
                "{} in {} {} to member {}, by link {}",
                content.level,
                content.kind.as_str(),
                content.id.as_str(),
                member.id,
                invite.id
            ),
        };
        audit_events::append(self.tx, event, self.now).await
    }

    async fn pending_invitation(&self, version: OrganizationVersion) -> Result<Option<Invite>> {
        pending_invitation(self.tx, version, &self.account, self.now).await
    }

    /// Ends the caller's pending request: members have none.
    async fn end_request(&self) -> Result<()> {
        let Some(id) = self.request else { return Ok(()) };
        let found = join_requests::find(self.tx, self.organization.id, id).await?;
        let Some(pending) = found else { return Ok(()) };
        let version = self.organization.at_version();
        end_request(self.tx, pending, version, &self.call.actor(), self.now).await
    }

    /// Ends the caller's pending invitation: members have none.
    async fn end_as_already_member(&self, pending: &Invite) -> Result<()> {
        let (reason, actor) = (EndReason::AlreadyMember, self.call.actor());
        end(self.tx, pending, reason, self.organization.at_version(), &actor, self.now).await
    }
}
