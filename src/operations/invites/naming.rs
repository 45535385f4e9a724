//! How whoever is invited names the invite.

use std::str::FromStr;

use crate::domain::{
    Invalid, Invite, InviteId, InviteKind, InviteToken, Organization, OrganizationId,
};
use crate::error::{Error, Result};
use crate::operations::RequestContext;
use crate::storage::{Connection, Tx, invites};

/// A text that is an invite's token or, for an email invitation, its id, where the
/// caller's verified address is the authority.
#[derive(Debug, Clone, Copy)]
pub struct InviteName {
    /// The text as a token.
    pub token: InviteToken,
    /// The text as an id.
    pub id: InviteId,
}

impl FromStr for InviteName {
    type Err = Invalid;

    fn from_str(text: &str) -> std::result::Result<Self, Invalid> {
        Ok(Self { token: text.parse()?, id: text.parse()? })
    }
}

/// The invite with this name, in whatever state, and where it leads.
pub(in crate::operations) async fn find_named(
    db: &impl Connection,
    call: &RequestContext,
    name: &InviteName,
) -> Result<(Invite, Organization)> {
    if let Some(found) = invites::find_by_token(db, &name.token.hash()).await? {
        return Ok(found);
    }
    invites::find_email_invitation(db, name.id)
        .await?
        .filter(|(invite, _)| is_for(call, invite))
        .ok_or_else(Error::not_found)
}

/// The invite that was found by this name, again under its organization's lock: an
/// invitation that was sent again meanwhile has another token.
pub(in crate::operations) async fn find_again(
    tx: &Tx,
    call: &RequestContext,
    name: &InviteName,
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

/// An id is no secret: only whom the invitation is for learns that there is one.
fn is_for(call: &RequestContext, invite: &Invite) -> bool {
    let own = call.caller.account.profile.verified_email();
    own.is_some() && invite.email.as_ref() == own
}
