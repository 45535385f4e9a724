//! `guestlist secret-key reseal`
//!
//! Each sealed value contains the id of its key, so no progress is stored: after a command was
//! killed, the next one skips the values that are sealed with the first key already.

use std::collections::BTreeMap;

use crate::domain::{InviteId, WebhookId};
use crate::error::{Error, Kind, Result};
use crate::keyring::{Keyring, KeyringError, Purpose, SecretKeyId};
use crate::storage::sealed::{self, Counts, Page, Place, Sealed, Table};
use crate::storage::settings::{self, SECRET_KEY_FINGERPRINT};
use crate::storage::{Store, Tx, change};

/// The number of rows that are read at a time, and sealed again in one transaction.
const BATCH: u64 = 500;

/// The numbers of sealed values that a run has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Invite tokens that are sealed with the first key now.
    pub invite_tokens: u64,
    /// Webhook secrets that are sealed with the first key now.
    pub webhook_secrets: u64,
    /// Values that were sealed with the first key before.
    pub had_it: u64,
    /// Values that another process replaced meanwhile; they stay as they are.
    pub replaced_meanwhile: u64,
    /// Values that cannot be opened, by the reason. Tokens of ended invites are not counted: they
    /// are not needed.
    pub unreadable: BTreeMap<String, u64>,
}

impl Resealed {
    /// The number of values that this run has sealed with the first key.
    pub fn changed(&self) -> u64 {
        self.invite_tokens + self.webhook_secrets
    }
}

/// Seals all invite tokens and webhook secrets that have another key again, with the first key.
/// Servers may run meanwhile. `progress` is called after each batch.
///
/// # Errors
/// FAILED_PRECONDITION if no server seals with the first key yet; the error of `progress`; or if
/// the store cannot be read or written. Values that were sealed again before the error stay so.
pub async fn reseal(
    store: &Store,
    keyring: &Keyring,
    progress: &dyn Fn(&Resealed) -> Result<()>,
) -> Result<Resealed> {
    require_servers_with_first_key(store, keyring).await?;
    let mut resealed = Resealed::default();
    for table in [Table::Invites, Table::Webhooks] {
        let mut after = None;
        loop {
            let page = sealed::page(store.read(), table, after, BATCH).await?;
            let Some(last) = page.last else { break };
            after = Some(last);
            reseal_page(store, keyring, page, &mut resealed).await?;
            progress(&resealed)?;
        }
    }
    Ok(resealed)
}

/// Fails if servers do not seal with the first key yet: a server that lacks the first key could not
/// open the values that it seals.
async fn require_servers_with_first_key(store: &Store, keyring: &Keyring) -> Result<()> {
    let first = keyring.fingerprints().into_iter().next();
    let used = settings::get(store.read(), SECRET_KEY_FINGERPRINT).await?;
    if used == first {
        return Ok(());
    }
    let id = |fingerprint: Option<String>| {
        let id = fingerprint.and_then(|text| SecretKeyId::of_fingerprint(&text));
        id.map_or_else(|| "none".to_owned(), |id| id.to_string())
    };
    let message = format!(
        "servers encrypt with the secret key {}, and not with the first one of these settings, {}: \
         first start every server with these settings",
        id(used),
        id(first),
    );
    Err(Error::new(Kind::FailedPrecondition, message))
}

async fn reseal_page(
    store: &Store,
    keyring: &Keyring,
    page: Page,
    resealed: &mut Resealed,
) -> Result<()> {
    let first = keyring.ids().first().copied();
    let mut again = Vec::new();
    for value in page.values {
        if SecretKeyId::of_sealed(&value.bytes) == first {
            resealed.had_it += 1;
            continue;
        }
        match seal_again(keyring, &value)? {
            Ok(bytes) => again.push((value, bytes)),
            Err(_) if value.place == (Place::InviteToken { is_live: false }) => {}
            Err(why) => *resealed.unreadable.entry(why.to_string()).or_default() += 1,
        }
    }
    if again.is_empty() {
        return Ok(());
    }
    let places: Vec<Place> = again.iter().map(|(value, _)| value.place).collect();
    let replace = change!(async move |tx: &Tx| sealed::replace(tx, &again).await);
    for (place, is_replaced) in places.into_iter().zip(store.write(replace).await?) {
        match (is_replaced, place) {
            (false, _) => resealed.replaced_meanwhile += 1,
            (true, Place::InviteToken { .. }) => resealed.invite_tokens += 1,
            (true, _) => resealed.webhook_secrets += 1,
        }
    }
    Ok(())
}

/// The value, sealed with the first key; or the reason why it cannot be opened.
fn seal_again(
    keyring: &Keyring,
    value: &Sealed,
) -> Result<std::result::Result<Vec<u8>, KeyringError>> {
    // The row's id is authenticated with the value.
    let (purpose, id) = match value.place {
        Place::InviteToken { .. } => (Purpose::InviteToken, InviteId::from(value.id).to_string()),
        Place::WebhookSecret | Place::PreviousWebhookSecret => {
            (Purpose::WebhookSecret, WebhookId::from(value.id).to_string())
        }
    };
    match keyring.open(purpose, id.as_bytes(), &value.bytes) {
        Ok(opened) => {
            let sealed = keyring.seal(purpose, id.as_bytes(), &opened);
            sealed.map(Ok).map_err(Error::internal)
        }
        Err(why) => Ok(Err(why)),
    }
}

/// For each key except the first, the number of values that are sealed with it and may be needed.
///
/// # Errors
/// If the store cannot be read.
pub async fn uses_of_other_keys(
    store: &Store,
    keyring: &Keyring,
) -> Result<Vec<(SecretKeyId, Counts)>> {
    let counts = sealed::count_by_key(store.read()).await?;
    let others = keyring.ids().into_iter().skip(1);
    Ok(others.map(|id| (id, counts.get(id.as_bytes()).copied().unwrap_or_default())).collect())
}
