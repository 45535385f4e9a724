//! A cache of API keys: the key of a busy caller is read about once a second instead of for
//! every request.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::freshness::ReadAt;
use crate::domain::{ApiKey, ApiKeySecret, Caller, KeyId};
use crate::storage::Store;

/// The most cached keys. Only existing keys are cached, so requests with invented keys evict none.
const CAPACITY: usize = 10_000;

pub struct KeyCache(Cache<KeyId, CachedKey>);

#[derive(Clone)]
pub struct CachedKey {
    pub key: Arc<ApiKey>,
    pub caller: Arc<Caller>,
    pub read_at: ReadAt,
}

impl KeyCache {
    /// The cached key, unless it is outdated.
    pub fn get(&self, id: &KeyId, store: &Store) -> Option<CachedKey> {
        self.0.get(id).filter(|cached| cached.read_at.is_fresh(store))
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
