//! When keys were last used, remembered without a write for each request.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::{ApiKey, KeyId, Timestamp};

/// How exactly the time of a key's last use is kept.
pub const RESOLUTION: Duration = Duration::from_secs(60);

/// Uses of keys that the store does not know yet. A worker takes them there.
#[derive(Debug, Default)]
pub struct KeyUsage {
    pending: Mutex<BTreeMap<KeyId, Timestamp>>,
}

impl KeyUsage {
    /// Remembers a use, unless the store knows of one in the last minute.
    pub fn record(&self, key: &ApiKey, now: Timestamp) {
        if key.last_used_at.is_none_or(|last| last.plus(RESOLUTION) <= now) {
            self.put(key.id.clone(), now);
        }
    }

    /// Hands over what is to be written.
    pub fn take(&self) -> Vec<(KeyId, Timestamp)> {
        std::mem::take(&mut *self.pending()).into_iter().collect()
    }

    /// Takes back what could not be written.
    pub fn put_back(&self, uses: Vec<(KeyId, Timestamp)>) {
        for (id, at) in uses {
            self.put(id, at);
        }
    }

    fn put(&self, id: KeyId, at: Timestamp) {
        let mut pending = self.pending();
        let last = pending.entry(id).or_insert(at);
        *last = at.max(*last);
    }

    fn pending(&self) -> MutexGuard<'_, BTreeMap<KeyId, Timestamp>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
