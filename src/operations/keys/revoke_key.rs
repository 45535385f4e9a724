//! `guestlist keys revoke`

use crate::domain::{Action, Actor, KeyId, TargetKind, Timestamp};
use crate::error::{Error, Kind, Result};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::change;
use crate::storage::{Store, api_keys};

/// Revokes a key. Servers cache keys, so a running server may accept it for one more second.
///
/// # Errors
/// NOT_FOUND if no key has that id or it is already revoked.
pub async fn revoke_key(store: &Store, id: KeyId, now: Timestamp) -> Result<()> {
    store
        .write(change!(async move |tx| {
            let key = api_keys::find(tx, &id).await?;
            if !api_keys::revoke(tx, &id, now).await? {
                let what = format!("there is no key {id} that could be revoked");
                return Err(Error::new(Kind::NotFound, what));
            }
            let event = NewEvent {
                action: Action::KeyRevoked,
                target_kind: TargetKind::Key,
                target_id: id.to_string(),
                organization: key.and_then(|(key, _)| key.organization),
                actor: &Actor::system("command-line"),
                note: String::new(),
            };
            audit_events::append(tx, event, now).await
        }))
        .await
}
