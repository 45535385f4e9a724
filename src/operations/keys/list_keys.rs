//! `guestlist keys list`

use crate::domain::{Account, ApiKey};
use crate::error::Result;
use crate::storage::{Store, api_keys};

/// Every key and whose it is, oldest first, revoked and expired ones too. Never
/// a secret: the store has none.
pub async fn list_keys(store: &Store) -> Result<Vec<(ApiKey, Account)>> {
    api_keys::list(store.read()).await
}
