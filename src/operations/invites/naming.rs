//! How whoever is invited names the invite.

use std::str::FromStr;

use crate::domain::{Invalid, Invite, InviteId, InviteToken, Organization};
use crate::error::{Error, Result};
use crate::operations::Call;
use crate::storage::{Connection, invites};

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
///
/// To be asked again under the organization's lock, for an invitation that was
/// sent again meanwhile has another token.
pub(in crate::operations) async fn find_named(
    db: &impl Connection,
    call: &Call,
    name: &InviteName,
) -> Result<(Invite, Organization)> {
    if let Some(found) = invites::find_by_token(db, &name.token.hash()).await? {
        return Ok(found);
    }
    // An id is no secret: only whom the invitation is for learns that there is one.
    let own = call.caller.account.profile.verified_email();
    invites::find_email_invitation(db, name.id)
        .await?
        .filter(|(invite, _)| own.is_some() && invite.email.as_ref() == own)
        .ok_or_else(Error::not_found)
}
