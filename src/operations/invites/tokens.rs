//! Encryption of invite tokens in the store.

use crate::domain::{Invite, InviteToken, Timestamp};
use crate::error::{Error, Kind, Result};
use crate::keyring::{Keyring, KeyringError, Purpose};
use crate::storage::invites::StoredToken;

/// An invite as admins see it.
#[derive(Debug, Clone)]
pub struct InviteWithToken {
    pub invite: Invite,
    /// `None` if the invite has ended, for email invitations, and in lists that were
    /// requested without tokens.
    pub token: Option<InviteToken>,
}

impl InviteWithToken {
    /// With the token if the invite is a live link. The token of an email invitation is sent
    /// to the invited address only, so admins do not get it.
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

/// Encrypts a token for the store. The invite's id is authenticated with it, so that an
/// encrypted token cannot be copied to another row.
pub(in crate::operations) fn seal(
    keyring: &Keyring,
    invite: &Invite,
    token: &InviteToken,
) -> Result<StoredToken> {
    let sealed = keyring
        .seal(Purpose::InviteToken, invite.id.to_string().as_bytes(), token.as_bytes())
        .map_err(Error::internal)?;
    Ok(StoredToken { hash: token.hash(), sealed })
}

/// Decrypts a token from the store.
///
/// # Errors
/// UNAVAILABLE if it was sealed with a secret key that this server lacks: during a key
/// rotation, other replicas may have that key. The error's source names the key.
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
