//! `guestlist keys revoke`

use crate::domain::{Action, Actor, EventData, KeyId, Timestamp};
use crate::error::{Error, Kind, Result};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::change;
use crate::storage::{Store, api_keys, organizations};

/// Revokes a key. Servers cache keys, so a running server may accept it for one more second.
///
/// # Errors
/// NOT_FOUND if no key has that id or it is already revoked.
pub async fn revoke_key(store: &Store, id: KeyId, now: Timestamp) -> Result<()> {
    store
        .write(change!(async move |tx| {
            let none = || {
                let what = format!("there is no key {id} that could be revoked");
                Error::new(Kind::NotFound, what)
            };
            let (key, account) = api_keys::find(tx, &id).await?.ok_or_else(none)?;
            let bound = match key.organization {
                Some(organization) => organizations::lock(tx, organization).await?,
                None => None,
            };
            if !api_keys::revoke(tx, &id, now).await? {
                return Err(none());
            }
            // `bound` is `None` only for a key without an organization: the deletion of an
            // organization revokes its keys.
            let organization = match bound {
                Some(mut organization) => {
                    organization.version += 1;
                    organizations::set_version(tx, organization.at_version()).await?;
                    Some(organization.at_version())
                }
                None => None,
            };
            let event = NewEvent {
                action: Action::KeyRevoked,
                data: EventData::Key {
                    id: id.clone(),
                    account: Some(account.id),
                    scope: key.scope,
                    revoked: true,
                },
                organization,
                actor: &Actor::system("command-line"),
                note: String::new(),
            };
            audit_events::append(tx, event, now).await
        }))
        .await
}
