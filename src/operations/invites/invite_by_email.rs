//! `guestlist.v1.InviteService/InviteByEmail`

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::carried::{check_continue_url, encode_member_end};
use super::ending::event;
use super::{check_grantable, check_member_end, email_expiry, expire, load, new_invite, tokens};
use crate::auth::Issuers;
use crate::domain::{
    Action, Attributes, ContinueUrl, Delivery, EmailAddress, ExternalId, Invite, InviteData,
    InviteId, InviteKind, InviteToken, Locale, MemberEnd, MemberId, OrganizationId,
    OrganizationVersion, Permission, Role, Timestamp,
};
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::operations::access::Access;
use crate::operations::attributes::encode_all;
use crate::operations::budget::Budget;
use crate::operations::encoding::Encoding;
use crate::operations::idempotency::{Idempotency, RequestToken};
use crate::operations::{Context, RequestContext};
use crate::storage::change;
use crate::storage::{
    Tx, accounts, attributes, audit_events, invites, members, organizations, outbox,
};

#[derive(Debug, Clone)]
pub struct InviteByEmail {
    pub organization: OrganizationId,
    pub invitations: Vec<Invitation>,
    /// `None`: the configured lifetime.
    pub expires_at: Option<Timestamp>,
    /// Only accounts of the organization's single sign-on may accept.
    pub sso: bool,
    /// The page where members continue after accepting.
    pub continue_url: Option<ContinueUrl>,
    pub request: Option<RequestToken>,
}

#[derive(Debug, Clone)]
pub struct Invitation {
    /// The text from the request, not yet parsed.
    pub email: String,
    pub role: Role,
    /// Copied to the new member.
    pub attributes: Attributes,
    /// When the membership ends.
    pub member_end: Option<MemberEnd>,
    /// The language of the mail.
    pub locale: Option<Locale>,
}

impl InviteByEmail {
    /// With all optional fields empty.
    pub fn new(organization: OrganizationId, invitations: Vec<Invitation>) -> Self {
        Self {
            organization,
            invitations,
            expires_at: None,
            sso: false,
            continue_url: None,
            request: None,
        }
    }
}

impl Invitation {
    /// With all optional fields empty.
    pub fn new(email: String, role: Role) -> Self {
        Self { email, role, attributes: Attributes::default(), member_end: None, locale: None }
    }
}

/// The result for one address.
#[derive(Debug, Clone)]
pub struct Invited {
    /// The text from the request.
    pub email: String,
    pub outcome: Outcome,
    /// `Some` if `outcome` is `Invited`.
    pub invite: Option<Invite>,
    /// Single sign-on was requested, but the address belongs to an account that uses it in
    /// another organization. The address got an ordinary invitation.
    pub sso_failed: bool,
}

/// Stored for retries by the names of its variants: do not rename them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Invited,
    /// A member has this address.
    AlreadyMember,
    /// The address has a pending invitation, or is twice in the request.
    AlreadyInvited,
    InvalidAddress,
    /// The organization's single sign-on does not cover the address.
    DomainNotAllowed,
    /// No seat is left.
    SeatLimit,
    /// A current member, a live invite or an earlier address of the request has the external id.
    ExternalIdTaken,
}

/// The stored result for one address: outcome, invitation, `sso_failed`.
type Reference = (Outcome, Option<Uuid>, bool);

/// Invites addresses; the result of one does not affect the others. Only admins may do this, and
/// they cannot grant a role above their own.
pub async fn invite_by_email(
    cx: &Context,
    call: &RequestContext,
    input: InviteByEmail,
) -> Result<Vec<Invited>> {
    execute(cx, call, input, |_| Ok(())).await
}

/// As [`invite_by_email`], but if `accept` rejects an outcome, the transaction is rolled
/// back and the error returned.
pub(super) async fn execute(
    cx: &Context,
    call: &RequestContext,
    input: InviteByEmail,
    accept: fn(Outcome) -> Result<()>,
) -> Result<Vec<Invited>> {
    check_continue_url(cx, input.continue_url.as_ref())?;
    let now = cx.now();
    let lifetime = cx.rules.email_invitation_lifetime;
    let request = input.request.as_ref();
    let idempotency =
        Idempotency::new(call, input.organization, "InviteByEmail", request, |encoding| {
            encode_request(encoding, &input)
        });
    let (keyring, issuers) = (Arc::clone(&cx.keyring), Arc::clone(&cx.issuers));
    let budget = Budget::new(cx, call, input.organization);
    let call = call.clone();
    let invited = cx
        .store
        .write_in(
            input.organization,
            change!(async move |tx| {
                let manage = Permission::ManageInvites;
                let access =
                    Access::to_change(tx, &call.caller, input.organization, manage, now).await?;
                if let Some(before) = idempotency.lookup::<Vec<Reference>>(tx, now).await? {
                    before.iter().try_for_each(|(outcome, ..)| accept(*outcome))?;
                    return stored_results(tx, &input, before).await;
                }
                let expires_at = email_expiry(input.expires_at, lifetime, now)?;
                for invitation in &input.invitations {
                    check_grantable(&access, invitation.role)?;
                    check_member_end(invitation.member_end, now)?;
                }
                let Access { mut organization, member } = access;
                if input.sso && issuers.sso_of(organization.id).next().is_none() {
                    let what = "no single sign-on is configured for this organization";
                    return Err(Error::invalid("sso", what));
                }
                // The new version is stored only if an invitation is inserted or has expired.
                organization.version += 1;
                let batch = Batch {
                    tx,
                    keyring: &keyring,
                    issuers: &issuers,
                    call: &call,
                    version: organization.at_version(),
                    has_seat: organization.has_seat(),
                    template: Invite {
                        expires_at: Some(expires_at),
                        max_uses: Some(1),
                        delivery: Some(Delivery::Pending),
                        sso: input.sso,
                        continue_url: input.continue_url.clone(),
                        ..new_invite(InviteKind::Email, Role::Guest, &organization, member.id, now)
                    },
                };
                let addresses = batch.addresses(&input.invitations, now).await?;
                let invitable: Vec<_> = addresses.iter().flatten().collect();
                budget.spend_on_mail(invitable.iter().copied())?;
                let sso_elsewhere = batch.sso_elsewhere(&invitable, now).await?;
                let mut invited = Vec::with_capacity(input.invitations.len());
                for (invitation, address) in input.invitations.iter().zip(addresses) {
                    let (outcome, invite, sso_failed) = match address {
                        Err(outcome) => (outcome, None, false),
                        Ok(address) => {
                            let sso_failed = sso_elsewhere.contains(&address);
                            let invite = batch.invite(address, invitation, sso_failed, now);
                            (Outcome::Invited, Some(invite), sso_failed)
                        }
                    };
                    accept(outcome)?;
                    let email = invitation.email.clone();
                    invited.push(Invited { email, outcome, invite, sso_failed });
                }
                let new: Vec<_> = invited.iter().filter_map(|one| one.invite.as_ref()).collect();
                if !new.is_empty() {
                    organizations::set_version(tx, batch.version).await?;
                    batch.insert(new, now).await?;
                }
                let references: Vec<Reference> = invited
                    .iter()
                    .map(|one| {
                        (one.outcome, one.invite.as_ref().map(|i| i.id.into()), one.sso_failed)
                    })
                    .collect();
                idempotency.store(tx, &references, now).await?;
                Ok(invited)
            }),
        )
        .await?;
    cx.mail_wakeup.notify_one();
    Ok(invited)
}

/// The response to a retry, from the stored results.
async fn stored_results(
    tx: &Tx,
    input: &InviteByEmail,
    before: Vec<Reference>,
) -> Result<Vec<Invited>> {
    let mut invited = Vec::with_capacity(before.len());
    for (invitation, (outcome, id, sso_failed)) in input.invitations.iter().zip(before) {
        let invite = match id {
            Some(id) => Some(load(tx, input.organization, id.into()).await?.0),
            None => None,
        };
        invited.push(Invited { email: invitation.email.clone(), outcome, invite, sso_failed });
    }
    Ok(invited)
}

/// A request in progress. Every query runs once, for all addresses together.
struct Batch<'a> {
    tx: &'a Tx,
    keyring: &'a Keyring,
    issuers: &'a Issuers,
    call: &'a RequestContext,
    /// The organization's version after the change.
    version: OrganizationVersion,
    has_seat: bool,
    /// The fields that all invitations share.
    template: Invite,
}

impl Batch<'_> {
    /// For each invitation the parsed address, or the reason not to invite it.
    async fn addresses(
        &self,
        invitations: &[Invitation],
        now: Timestamp,
    ) -> Result<Vec<std::result::Result<EmailAddress, Outcome>>> {
        let parsed: Vec<Option<EmailAddress>> =
            invitations.iter().map(|invitation| invitation.email.parse().ok()).collect();
        let organization = self.template.organization;
        let all: Vec<&EmailAddress> = parsed.iter().flatten().collect();
        let members = members::addresses_among(self.tx, organization, &all).await?;
        let mut invited = HashSet::new();
        for pending in invites::pending_of_addresses(self.tx, organization, &all).await? {
            if pending.is_live(now) {
                invited.extend(pending.email);
            } else if expire(self.tx, &pending, self.version, now).await? {
                organizations::set_version(self.tx, self.version).await?;
            }
        }
        let mut seen = HashSet::new();
        let mut taken = self.taken_ids(invitations, now).await?;
        let outcome = |(email, invitation): (Option<EmailAddress>, &Invitation)| {
            let email = email.ok_or(Outcome::InvalidAddress)?;
            if !seen.insert(email.clone()) {
                return Err(Outcome::AlreadyInvited);
            }
            if members.contains(&email) {
                return Err(Outcome::AlreadyMember);
            }
            if invited.contains(&email) {
                return Err(Outcome::AlreadyInvited);
            }
            if self.template.sso && !self.is_covered(&email) {
                return Err(Outcome::DomainNotAllowed);
            }
            if !self.has_seat {
                return Err(Outcome::SeatLimit);
            }
            if let Some(id) = &invitation.attributes.external_id
                && !taken.insert(id.clone())
            {
                return Err(Outcome::ExternalIdTaken);
            }
            Ok(email)
        };
        Ok(parsed.into_iter().zip(invitations).map(outcome).collect())
    }

    /// The external ids of these invitations that members or live invites already have.
    async fn taken_ids(
        &self,
        invitations: &[Invitation],
        now: Timestamp,
    ) -> Result<HashSet<ExternalId>> {
        let ids = invitations.iter().filter_map(|one| one.attributes.external_id.as_ref());
        let ids: Vec<&ExternalId> = ids.collect();
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let organization = self.template.organization;
        let mut taken = attributes::among_members(self.tx, organization, &ids).await?;
        for invite in attributes::invites_with(self.tx, organization, &ids).await? {
            if invite.is_live(now) {
                taken.extend(invite.attributes.external_id);
            } else if expire(self.tx, &invite, self.version, now).await? {
                organizations::set_version(self.tx, self.version).await?;
            }
        }
        Ok(taken)
    }

    /// Whether a single sign-on of the organization may verify the address. Otherwise no
    /// account could ever accept the invitation.
    fn is_covered(&self, email: &EmailAddress) -> bool {
        let domain = email.domain();
        self.issuers.sso_of(self.template.organization).any(|issuer| {
            domain.as_ref().is_some_and(|domain| issuer.verified_email_domains.include(domain))
        })
    }

    /// The addresses whose account uses the single sign-on in another organization.
    async fn sso_elsewhere(
        &self,
        addresses: &[&EmailAddress],
        now: Timestamp,
    ) -> Result<HashSet<EmailAddress>> {
        let mut tied = HashSet::new();
        if self.template.sso && !addresses.is_empty() {
            for issuer in self.issuers.sso_of(self.template.organization) {
                let except = self.template.organization;
                let theirs =
                    accounts::members_elsewhere(self.tx, &issuer.issuer, addresses, except, now)
                        .await?;
                tied.extend(theirs);
            }
        }
        Ok(tied)
    }

    fn invite(
        &self,
        email: EmailAddress,
        invitation: &Invitation,
        sso_failed: bool,
        now: Timestamp,
    ) -> Invite {
        let mut invite = Invite {
            id: InviteId::generate(now),
            role: invitation.role,
            email: Some(email),
            attributes: invitation.attributes.clone(),
            member_end: invitation.member_end,
            locale: invitation.locale.clone(),
            sso: self.template.sso && !sso_failed,
            member: Some(MemberId::generate(now)),
            ..self.template.clone()
        };
        invite.expires_at = invite.capped_expiry(invite.expires_at);
        invite
    }

    /// Inserts the invitations, each with its audit event and its mail in the outbox.
    async fn insert(&self, new: Vec<&Invite>, now: Timestamp) -> Result<()> {
        let mut rows = Vec::with_capacity(new.len());
        for invite in &new {
            let token = InviteToken::generate().map_err(Error::internal)?;
            rows.push((*invite, tokens::seal(self.keyring, invite, &token)?));
        }
        invites::insert_all(self.tx, rows).await?;
        let ids = new.iter().map(|invite| invite.id).collect();
        let (organization, trace) = (self.template.organization, self.call.trace);
        outbox::enqueue_new(self.tx, organization, ids, trace, now).await?;
        let actor = self.call.actor();
        let events = new.iter().map(|invite| {
            let note = format!("by email, as {}", invite.role);
            event(Action::InviteCreated, InviteData::from(*invite), self.version, &actor, note)
        });
        audit_events::append_all(self.tx, events.collect(), now).await
    }
}

fn encode_request(encoding: Encoding, input: &InviteByEmail) -> Encoding {
    let encoding = encoding
        .list(&input.invitations, |encoding, invitation| {
            encoding.text(&invitation.email).text(invitation.role.as_str())
        })
        .option(input.expires_at, Encoding::time)
        .flag(input.sso);
    let is_plain = |one: &Invitation| one.attributes.is_empty() && one.locale.is_none();
    let lasts = |one: &Invitation| one.member_end.is_none();
    let encoding = match input.invitations.iter().all(is_plain) {
        true => encoding,
        false => encoding.text("invitations").list(&input.invitations, |encoding, one| {
            let locale = one.locale.as_ref();
            let encoding = encoding.option(locale, |encoding, tag| encoding.text(tag.as_str()));
            encode_all(encoding, &one.attributes)
        }),
    };
    let encoding = match input.invitations.iter().all(lasts) {
        true => encoding,
        false => encoding.text("member_end").list(&input.invitations, |encoding, one| {
            encoding.option(one.member_end, encode_member_end)
        }),
    };
    match &input.continue_url {
        Some(url) => encoding.text("continue_url").text(url.as_str()),
        None => encoding,
    }
}
