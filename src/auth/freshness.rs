//! How long rows of keys and accounts may be cached.

use std::time::{Duration, Instant};

use crate::storage::Store;

/// Shorter than one second, so that every replica rejects a revoked key within a second.
const MAX_AGE: Duration = Duration::from_millis(900);

/// The moment before a key or an account was read from the store.
#[derive(Debug, Clone, Copy)]
pub struct ReadAt {
    instant: Instant,
    version: u64,
}

impl ReadAt {
    pub fn now(store: &Store) -> Self {
        Self { instant: Instant::now(), version: store.keys_version() }
    }

    /// Whether the row may be used: it is younger than [`MAX_AGE`], and this process has
    /// changed no key and no account since it was read.
    pub fn is_fresh(self, store: &Store) -> bool {
        self.version == store.keys_version() && self.instant.elapsed() < MAX_AGE
    }
}
