//! A cache of API keys: the key of a busy caller is read about once a second instead of for
//! every request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use crate::domain::{ApiKey, ApiKeySecret, Caller, KeyId};

/// Shorter than one second, so that every replica rejects a revoked key within a second.
const MAX_AGE: Duration = Duration::from_millis(900);

/// The most cached keys. Only existing keys are cached, so invented ones evict none.
const CAPACITY: usize = 10_000;

pub struct KeyCache(Cache<KeyId, CachedKey>);

#[derive(Clone)]
pub struct CachedKey {
    pub key: Arc<ApiKey>,
    pub caller: Arc<Caller>,
    /// The time before the key was read from the store.
    pub read_at: Instant,
    /// The value of [`Store::keys_version`] before the key was read.
    ///
    /// [`Store::keys_version`]: crate::storage::Store::keys_version
    pub version: u64,
}

impl KeyCache {
    /// The cached key, unless it is older than [`MAX_AGE`] or this process has changed keys
    /// since it was read. `version` is the present [`Store::keys_version`].
    ///
    /// [`Store::keys_version`]: crate::storage::Store::keys_version
    pub fn get(&self, id: &KeyId, version: u64) -> Option<CachedKey> {
        let is_fresh =
            |cached: &CachedKey| cached.version == version && cached.read_at.elapsed() < MAX_AGE;
        self.0.get(id).filter(is_fresh)
    }

    /// Whether the secret matches a cached key of any age.
    pub fn has_seen(&self, presented: &ApiKeySecret) -> bool {
        let cached = self.0.get(presented.id());
        cached.is_some_and(|cached| presented.hash().matches(&cached.key.hash))
    }

    pub fn insert(&self, key: CachedKey) {
        self.0.insert(key.key.id.clone(), key);
    }
}

impl Default for KeyCache {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}
