//! Encryption of endpoints' secrets in the store.

use crate::domain::{Timestamp, Webhook, WebhookId};
use crate::error::{Error, Kind, Result};
use crate::keyring::{Keyring, KeyringError, Purpose};
use crate::storage::webhooks::SealedSecrets;
use crate::webhooks::Secret;

/// An endpoint and its new secret, which is not shown again.
#[derive(Debug)]
pub struct WithSecret {
    pub webhook: Webhook,
    pub secret: Secret,
}

/// Encrypts a secret for the store. The endpoint's id is authenticated with it, so that it
/// cannot be copied to another row.
pub(super) fn seal(keyring: &Keyring, id: WebhookId, secret: &Secret) -> Result<Vec<u8>> {
    let aad = id.to_string();
    keyring.seal(Purpose::WebhookSecret, aad.as_bytes(), secret.as_bytes()).map_err(Error::internal)
}

/// The secrets that sign a request at `now`, the newest first.
///
/// # Errors
/// UNAVAILABLE if one was sealed with a secret key that this server lacks: during a key
/// rotation, other replicas may have that key.
pub fn unseal(
    keyring: &Keyring,
    id: WebhookId,
    sealed: &SealedSecrets,
    now: Timestamp,
) -> Result<Vec<Secret>> {
    let previous = sealed.previous.as_ref().filter(|(_, ends)| now < *ends);
    let all = std::iter::once(&sealed.current).chain(previous.map(|(sealed, _)| sealed));
    all.map(|sealed| open(keyring, id, sealed)).collect()
}

fn open(keyring: &Keyring, id: WebhookId, sealed: &[u8]) -> Result<Secret> {
    let opened = keyring.open(Purpose::WebhookSecret, id.to_string().as_bytes(), sealed);
    opened.map(Secret::from_bytes).map_err(|error| match error {
        KeyringError::UnknownKey(_) => Error::new(
            Kind::Unavailable,
            "this server lacks the secret key of the webhook's secret; try again",
        )
        .with_source(error),
        error => Error::internal(error),
    })
}
