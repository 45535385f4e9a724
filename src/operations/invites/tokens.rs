//! Tokens between the store and whoever may see them.

use crate::domain::{Invite, InviteToken, Timestamp};
use crate::error::{Error, Kind, Result};
use crate::keyring::{Keyring, KeyringError, Purpose};
use crate::storage::invites::StoredToken;

/// An invite as an admin sees it.
#[derive(Debug, Clone)]
pub struct InviteWithToken {
    /// The invite.
    pub invite: Invite,
    /// Its token, while it is live and where it may be shown.
    pub token: Option<InviteToken>,
}

impl InviteWithToken {
    /// With its token, if it is live. An email invitation's token goes to its
    /// address and to nobody else.
    pub(super) fn with_token(
        keyring: &Keyring,
        (invite, sealed): (Invite, Vec<u8>),
        now: Timestamp,
    ) -> Result<Self> {
        let shown = invite.email.is_none() && invite.is_live(now);
        let token = shown.then(|| unseal(keyring, &invite, &sealed)).transpose()?;
        Ok(Self { invite: invite.as_of(now), token })
    }
}

/// A token as the store keeps it. The invite's id is bound into the seal, so that
/// a sealed token cannot be moved to another row.
pub(super) fn seal(keyring: &Keyring, invite: &Invite, token: &InviteToken) -> Result<StoredToken> {
    let sealed = keyring
        .seal(Purpose::InviteToken, invite.id.to_string().as_bytes(), token.as_bytes())
        .map_err(Error::internal)?;
    Ok(StoredToken { hash: token.hash(), sealed })
}

/// The token again, for whoever may see it.
///
/// # Errors
/// UNAVAILABLE if it was sealed with a secret key that this server lacks: while the
/// key is being exchanged, other replicas have it. The cause names the key.
pub fn unseal(keyring: &Keyring, invite: &Invite, sealed: &[u8]) -> Result<InviteToken> {
    let bytes = keyring
        .open(Purpose::InviteToken, invite.id.to_string().as_bytes(), sealed)
        .map_err(|error| match error {
            KeyringError::UnknownKey(_) => Error::new(
                Kind::Unavailable,
                "this server lacks the secret key of the invite's token; try again",
            )
            .with_source(error),
            error => Error::internal(error),
        })?;
    InviteToken::from_bytes(&bytes).map_err(Error::internal)
}
