//! Finds the invite of a request from an invited person, by token or by id.

use std::str::FromStr;

use crate::domain::{
    Invalid, Invite, InviteId, InviteKind, InviteToken, Organization, OrganizationId,
};
use crate::error::{Error, Result};
use crate::operations::RequestContext;
use crate::storage::{Connection, Tx, invites};

/// A text that is either an invite's token or the id of an email invitation; both are UUIDs.
/// An id is accepted only from the account whose verified address is invited.
#[derive(Debug, Clone, Copy)]
pub struct TokenOrId {
    /// The text, read as a token.
    pub token: InviteToken,
    /// The same text, read as an id.
    pub id: InviteId,
}

impl FromStr for TokenOrId {
    type Err = Invalid;

    fn from_str(text: &str) -> std::result::Result<Self, Invalid> {
        Ok(Self { token: text.parse()?, id: text.parse()? })
    }
}

/// The invite with this token or id, in any state, and its organization.
pub(in crate::operations) async fn find_by_token_or_id(
    db: &impl Connection,
    call: &RequestContext,
    name: &TokenOrId,
) -> Result<(Invite, Organization)> {
    if let Some(found) = invites::find_by_token(db, &name.token.hash()).await? {
        return Ok(found);
    }
    invites::find_email_invitation(db, name.id)
        .await?
        .filter(|(invite, _)| is_for(call, invite))
        .ok_or_else(Error::not_found)
}

/// Reads the invite again under the organization's lock. The token may have changed since
/// the first read, if the invitation was sent again.
pub(in crate::operations) async fn find_under_lock(
    tx: &Tx,
    call: &RequestContext,
    name: &TokenOrId,
    organization: OrganizationId,
    id: InviteId,
) -> Result<Invite> {
    let (invite, by_token) = invites::find_and_compare(tx, organization, id, &name.token.hash())
        .await?
        .ok_or_else(Error::not_found)?;
    let is_email = invite.kind == InviteKind::Email;
    if by_token || (name.id == id && is_email && is_for(call, &invite)) {
        return Ok(invite);
    }
    Err(Error::not_found())
}

/// An id is not secret, so an invitation is found by id only if the caller's verified
/// address is the invited one.
fn is_for(call: &RequestContext, invite: &Invite) -> bool {
    let own = call.caller.account.profile.verified_email();
    own.is_some() && invite.email.as_ref() == own
}
