//! Keys as the store had them a moment ago: a caller who asks often has the key read
//! once a second, and not for every request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use crate::domain::{ApiKey, ApiKeySecret, Caller, KeyId};

/// How long a key is taken for what it was, so that a revocation is seen within a
/// second on every replica.
const AGE: Duration = Duration::from_millis(900);

/// Keys at most. Only keys that exist get here.
const ROOM: usize = 10_000;

/// See the module.
pub struct KnownKeys(Cache<KeyId, Known>);

/// A key as it was read.
#[derive(Clone)]
pub struct Known {
    /// The key, with what its secret is compared with.
    pub key: Arc<ApiKey>,
    /// Who shows it.
    pub caller: Arc<Caller>,
    /// When reading it began: it is as of then or later.
    pub read_at: Instant,
    /// What [`Store::keys_version`] said then.
    ///
    /// [`Store::keys_version`]: crate::storage::Store::keys_version
    pub version: u64,
}

impl KnownKeys {
    /// What was read of this key, if that was just now and this process has changed
    /// none since.
    pub fn get(&self, id: &KeyId, version: u64) -> Option<Known> {
        self.0.get(id).filter(|known| known.version == version && known.read_at.elapsed() < AGE)
    }

    /// Whether this is the secret of a key that was read at some time, however long ago.
    pub fn have_seen(&self, shown: &ApiKeySecret) -> bool {
        self.0.get(shown.id()).is_some_and(|known| shown.hash().matches(&known.key.hash))
    }

    /// Keeps what was read.
    pub fn put(&self, known: Known) {
        self.0.insert(known.key.id.clone(), known);
    }
}

impl Default for KnownKeys {
    fn default() -> Self {
        Self(Cache::new(ROOM))
    }
}
