//! `guestlist keys list`

use crate::domain::{Account, ApiKey};
use crate::error::Result;
use crate::storage::{Store, api_keys};

/// Every key with its account, oldest first, including revoked and expired keys. The store contains
/// no secrets of keys, so none is returned.
pub async fn list_keys(store: &Store) -> Result<Vec<(ApiKey, Account)>> {
    api_keys::list(store.read()).await
}
