//! A cache of rows that are read very often, on SQLite.
//!
//! On SQLite this process makes all changes of organizations, members and invites: a lock
//! keeps a second server off the file, and the command line beside it changes only keys
//! and accounts. So a value is valid until this process commits a change. On PostgreSQL
//! other replicas may change it at any time, so nothing is cached.

use std::hash::Hash;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use super::connection::{Db, Readers};
use crate::error::Result;

/// The longest time that a value is kept, in case an operator edits the file by hand.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The most values that are kept; one takes about 300 bytes.
const CAPACITY: usize = 20_000;

/// Values by the key of their statement.
pub(super) struct CommitCache<K, V>(Cache<K, Kept<V>>);

#[derive(Clone)]
struct Kept<V> {
    value: V,
    /// The number of commits when the read began.
    commits: u64,
    read_at: Instant,
}

impl<K: Hash + Eq, V: Clone> CommitCache<K, V> {
    /// The value that `read` returns, or returned since the last commit.
    pub(super) async fn find(
        &self,
        db: &Db,
        key: K,
        read: impl Future<Output = Result<Option<V>>>,
    ) -> Result<Option<V>> {
        if matches!(db.engine, Readers::Postgres(_)) {
            return read.await;
        }
        // Before the read, so that a commit during the read makes the value outdated.
        let (commits, read_at) = (db.state.commits.load(Ordering::SeqCst), Instant::now());
        let kept = self.0.get(&key).filter(|kept| {
            kept.commits == commits && read_at.saturating_duration_since(kept.read_at) < MAX_AGE
        });
        if let Some(kept) = kept {
            return Ok(Some(kept.value));
        }
        let Some(value) = read.await? else { return Ok(None) };
        self.0.insert(key, Kept { value: value.clone(), commits, read_at });
        Ok(Some(value))
    }
}

impl<K: Hash + Eq, V: Clone> Default for CommitCache<K, V> {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}
