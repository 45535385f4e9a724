//! One email invitation, for contracts that invite one address per request.

use super::invite_by_email::{Invitation, InviteByEmail, Outcome, execute};
use crate::domain::{Invite, OrganizationId};
use crate::error::{Error, Kind, Result, reason};
use crate::operations::attributes::external_id_taken;
use crate::operations::idempotency::RequestToken;
use crate::operations::{Context, RequestContext};

#[derive(Debug, Clone)]
pub struct InviteOne {
    pub organization: OrganizationId,
    pub invitation: Invitation,
    pub request: Option<RequestToken>,
}

/// Invites one address. An outcome other than `Invited` is returned as an error: then nothing is
/// changed, and no result is stored for retries. Only admins may do this.
pub async fn invite_one(cx: &Context, call: &RequestContext, input: InviteOne) -> Result<Invite> {
    let InviteOne { organization, invitation, request } = input;
    let invitations = vec![invitation];
    let input = InviteByEmail { request, ..InviteByEmail::new(organization, invitations) };
    let invited = execute(cx, call, input, Outcome::into_result).await?;
    let one = invited.into_iter().next();
    one.and_then(|one| one.invite)
        .ok_or_else(|| Error::internal("an address is invited without an invitation"))
}

impl Outcome {
    /// An error for every outcome except `Invited`.
    fn into_result(self) -> Result<()> {
        let taken = |reason, message: &str| {
            Err(Error::new(Kind::AlreadyExists, message).with_reason(reason))
        };
        match self {
            Outcome::Invited => Ok(()),
            Outcome::AlreadyMember => {
                taken(reason::ALREADY_MEMBER, "the address is a member's already")
            }
            Outcome::AlreadyInvited => {
                taken(reason::ALREADY_INVITED, "the address has a pending invitation already")
            }
            Outcome::ExternalIdTaken => Err(external_id_taken()),
            Outcome::InvalidAddress => Err(Error::invalid("email", "must be a mail address")),
            Outcome::DomainNotAllowed => Err(Error::precondition(
                reason::DOMAIN_NOT_ALLOWED,
                "the organization's single sign-on does not cover the address",
            )),
            Outcome::SeatLimit => Err(Error::precondition(
                reason::SEAT_LIMIT,
                "every seat of this organization is taken",
            )),
        }
    }
}
