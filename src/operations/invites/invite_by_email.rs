//! `guestlist.v1.InviteService/InviteByEmail`

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{advance, email_expiry, expire, found, may_grant, new_invite, record, tokens};
use crate::auth::Issuers;
use crate::domain::{
    Action, Delivery, EmailAddress, Invite, InviteKind, InviteToken, MemberId, OrganizationId,
    Permission, Role, Timestamp,
};
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::operations::access::Access;
use crate::operations::budget::Budget;
use crate::operations::idempotency::{Once, RequestToken};
use crate::operations::{Call, Context};
use crate::storage::{Tx, accounts, invites, members, outbox};

/// Whom to invite.
#[derive(Debug, Clone)]
pub struct InviteByEmail {
    /// To which organization.
    pub organization: OrganizationId,
    /// The addresses.
    pub invitations: Vec<Invitation>,
    /// When the invitations stop working; the configured time if none is given.
    pub expires_at: Option<Timestamp>,
    /// Only for accounts of the organization's single sign-on.
    pub sso: bool,
    /// The caller's id for this request.
    pub request: Option<RequestToken>,
}

/// One address and the role it is invited with.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// As it was given.
    pub email: String,
    /// What it will be.
    pub role: Role,
}

/// What became of one address.
#[derive(Debug, Clone)]
pub struct Invited {
    /// As it was given.
    pub email: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The invitation, if there is one.
    pub invite: Option<Invite>,
    /// Single sign-on was asked for and is not possible, since the address is tied
    /// to it in another organization: invited as an ordinary one.
    pub sso_failed: bool,
}

/// What became of one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is invited.
    Invited,
    /// It is a member's.
    AlreadyMember,
    /// It has a pending invitation, or stood in the request before.
    AlreadyInvited,
    /// It is no address.
    InvalidAddress,
    /// The organization's single sign-on does not cover it.
    DomainNotAllowed,
    /// No seat is left.
    SeatLimit,
}

/// What is remembered of one address: outcome, invitation, failed single sign-on.
type Reference = (Outcome, Option<Uuid>, bool);

/// Invites each address by itself. Admins may; nobody grants above their own role.
pub async fn invite_by_email(
    cx: &Context,
    call: &Call,
    input: InviteByEmail,
) -> Result<Vec<Invited>> {
    carry_out(cx, call, input, |_| Ok(())).await
}

/// The same, unless an outcome is one that `accept` refuses: then all of it is
/// undone.
pub(super) async fn carry_out(
    cx: &Context,
    call: &Call,
    input: InviteByEmail,
    accept: fn(Outcome) -> Result<()>,
) -> Result<Vec<Invited>> {
    let now = cx.now();
    let lifetime = cx.rules.email_invitation_lifetime;
    let body = (&input.invitations, input.expires_at, input.sso);
    let request = input.request.as_ref();
    let once = Once::new(call, input.organization, "InviteByEmail", request, &body);
    let (keyring, issuers) = (Arc::clone(&cx.keyring), Arc::clone(&cx.issuers));
    let budget = Budget::of(cx, call, input.organization);
    let call = call.clone();
    let invited = cx
        .store
        .write(async move |tx| {
            let manage = Permission::ManageInvites;
            let access = Access::to_change(tx, &call.caller, input.organization, manage).await?;
            if let Some(before) = once.before::<Vec<Reference>>(tx, now).await? {
                before.iter().try_for_each(|(outcome, ..)| accept(*outcome))?;
                return again(tx, &input, before).await;
            }
            let expires_at = email_expiry(input.expires_at, lifetime, now)?;
            for invitation in &input.invitations {
                may_grant(&access, invitation.role)?;
            }
            let Access { mut organization, member } = access;
            if input.sso && !issuers.iter().any(|i| issuers.is_sso_of(&i.issuer, organization.id)) {
                let what = "no single sign-on is configured for this organization";
                return Err(Error::invalid("sso", what));
            }
            advance(tx, &mut organization).await?;
            let mut inviting = Inviting {
                tx,
                keyring: &keyring,
                issuers: &issuers,
                call: &call,
                template: new_invite(InviteKind::Email, Role::Guest, &organization, member.id, now),
                expires_at,
                sso: input.sso,
                has_seat: organization.has_seat(),
                seen: HashSet::new(),
            };
            let mut addresses = Vec::with_capacity(input.invitations.len());
            for invitation in &input.invitations {
                addresses.push(inviting.address(&invitation.email, now).await?);
            }
            let invitable: Vec<_> = addresses.iter().flatten().collect();
            budget.spend_on_mail(invitable.into_iter())?;
            let mut invited = Vec::with_capacity(input.invitations.len());
            for (invitation, address) in input.invitations.iter().zip(addresses) {
                let one = inviting.invite(invitation, address, now).await?;
                accept(one.outcome)?;
                invited.push(one);
            }
            let references: Vec<Reference> = invited
                .iter()
                .map(|one| (one.outcome, one.invite.as_ref().map(|i| i.id.into()), one.sso_failed))
                .collect();
            once.remember(tx, &references, now).await?;
            Ok(invited)
        })
        .await?;
    cx.mail_wakeup.notify_one();
    Ok(invited)
}

/// What the same request came to before.
async fn again(tx: &Tx, input: &InviteByEmail, before: Vec<Reference>) -> Result<Vec<Invited>> {
    let mut invited = Vec::with_capacity(before.len());
    for (invitation, (outcome, id, sso_failed)) in input.invitations.iter().zip(before) {
        let invite = match id {
            Some(id) => Some(found(tx, input.organization, id.into()).await?.0),
            None => None,
        };
        invited.push(Invited { email: invitation.email.clone(), outcome, invite, sso_failed });
    }
    Ok(invited)
}

/// A request in progress.
struct Inviting<'a> {
    tx: &'a Tx,
    keyring: &'a Keyring,
    issuers: &'a Issuers,
    call: &'a Call,
    template: Invite,
    expires_at: Timestamp,
    sso: bool,
    has_seat: bool,
    seen: HashSet<EmailAddress>,
}

impl Inviting<'_> {
    async fn invite(
        &self,
        invitation: &Invitation,
        address: std::result::Result<EmailAddress, Outcome>,
        now: Timestamp,
    ) -> Result<Invited> {
        let mut sso_failed = false;
        let (outcome, invite) = match address {
            Err(outcome) => (outcome, None),
            Ok(email) => {
                sso_failed = self.sso && self.is_tied_elsewhere(&email).await?;
                let invite = self.insert(email, invitation.role, sso_failed, now).await?;
                (Outcome::Invited, Some(invite))
            }
        };
        Ok(Invited { email: invitation.email.clone(), outcome, invite, sso_failed })
    }

    /// The address to invite, or why it is not invited.
    async fn address(
        &mut self,
        text: &str,
        now: Timestamp,
    ) -> Result<std::result::Result<EmailAddress, Outcome>> {
        let Ok(email) = text.parse::<EmailAddress>() else {
            return Ok(Err(Outcome::InvalidAddress));
        };
        let organization = self.template.organization;
        if !self.seen.insert(email.clone()) {
            return Ok(Err(Outcome::AlreadyInvited));
        }
        if members::has_address(self.tx, organization, &email).await? {
            return Ok(Err(Outcome::AlreadyMember));
        }
        if let Some(pending) = invites::pending_of_address(self.tx, organization, &email).await? {
            if pending.is_live(now) {
                return Ok(Err(Outcome::AlreadyInvited));
            }
            expire(self.tx, &pending, now).await?;
        }
        if self.sso && !self.is_covered(&email) {
            return Ok(Err(Outcome::DomainNotAllowed));
        }
        if !self.has_seat {
            return Ok(Err(Outcome::SeatLimit));
        }
        Ok(Ok(email))
    }

    /// Whether some single sign-on of the organization may vouch for the address;
    /// otherwise nobody could ever use the invitation.
    fn is_covered(&self, email: &EmailAddress) -> bool {
        self.issuers.iter().any(|issuer| {
            self.issuers.is_sso_of(&issuer.issuer, self.template.organization)
                && email.domain().is_some_and(|d| issuer.verified_email_domains.include(&d))
        })
    }

    async fn is_tied_elsewhere(&self, email: &EmailAddress) -> Result<bool> {
        let organization = self.template.organization;
        for issuer in self.issuers.iter() {
            if self.issuers.is_sso_of(&issuer.issuer, organization)
                && accounts::is_member_elsewhere(self.tx, &issuer.issuer, email, organization)
                    .await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn insert(
        &self,
        email: EmailAddress,
        role: Role,
        sso_failed: bool,
        now: Timestamp,
    ) -> Result<Invite> {
        let invite = Invite {
            id: crate::domain::InviteId::generate(now),
            role,
            email: Some(email),
            sso: self.sso && !sso_failed,
            member: Some(MemberId::generate(now)),
            expires_at: Some(self.expires_at),
            max_uses: Some(1),
            delivery: Some(Delivery::Pending),
            ..self.template.clone()
        };
        let token = InviteToken::generate().map_err(Error::internal)?;
        invites::insert(self.tx, &invite, tokens::seal(self.keyring, &invite, &token)?).await?;
        outbox::enqueue(self.tx, invite.organization, invite.id, now).await?;
        let note = format!("by email, as {role}");
        record(self.tx, Action::InviteCreated, &invite, &self.call.actor(), note, now).await?;
        Ok(invite)
    }
}
