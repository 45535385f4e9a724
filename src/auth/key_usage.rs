//! Collects the time of the last use of each API key in memory, so that requests do not write it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::{ApiKey, KeyId, Timestamp};

/// The precision of a key's last use in the store.
pub const RESOLUTION: Duration = Duration::from_secs(60);

/// The latest use of each key that has not been written to the store yet. A worker writes them.
#[derive(Debug, Default)]
pub struct KeyUsage {
    pending: Mutex<BTreeMap<KeyId, Timestamp>>,
}

impl KeyUsage {
    /// Records a use, unless the store has one from the last minute.
    pub fn record(&self, key: &ApiKey, now: Timestamp) {
        if key.last_used_at.is_none_or(|last| last.plus(RESOLUTION) <= now) {
            self.put(key.id.clone(), now);
        }
    }

    /// Removes and returns the pending uses.
    pub fn take(&self) -> Vec<(KeyId, Timestamp)> {
        std::mem::take(&mut *self.pending()).into_iter().collect()
    }

    /// Adds back uses that could not be written.
    pub fn restore(&self, uses: Vec<(KeyId, Timestamp)>) {
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
