//! A cache of rows that are read very often, on SQLite.
//!
//! On SQLite this process makes all changes of organizations, members and invites that clients
//! request: a lock prevents a second server from using the file. So a value is valid until this
//! process changes its organization, or finds that another process has written (see
//! [`cache_versions`](super::cache_versions)). On PostgreSQL other replicas may change it at any
//! time, so nothing is cached.

use std::hash::Hash;
use std::time::Instant;

use quick_cache::sync::Cache;
use uuid::Uuid;

use super::connection::{Db, Readers};
use crate::error::Result;

/// The most values that are kept; one takes about 300 bytes.
const CAPACITY: usize = 20_000;

/// Values by the key of their statement.
pub(super) struct OrganizationCache<K, V>(Cache<K, Kept<V>>);

/// A value that depends on rows of one organization.
pub(super) trait OfOrganization: Clone {
    fn organization(&self) -> Uuid;
}

#[derive(Clone)]
struct Kept<V> {
    value: V,
    /// See [`Moment`].
    version: u64,
}

/// The moment when a read begins: a change during the read makes its value outdated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// The time of [`CacheVersions`](super::cache_versions::CacheVersions).
    version: u64,
    at: Instant,
}

impl Moment {
    /// The present moment; `None` on PostgreSQL.
    pub(super) fn now(db: &Db) -> Option<Self> {
        match db.engine {
            Readers::Postgres(_) => None,
            Readers::Sqlite(_) => {
                Some(Self { version: db.state.cache_versions.now(), at: Instant::now() })
            }
        }
    }
}

impl<K: Hash + Eq, V: OfOrganization> OrganizationCache<K, V> {
    /// The cached value if it is valid; otherwise the value that `read` returns, which is then
    /// cached.
    pub(super) async fn find(
        &self,
        db: &Db,
        key: K,
        read: impl Future<Output = Result<Option<V>>>,
    ) -> Result<Option<V>> {
        let Some(now) = Moment::now(db) else { return read.await };
        if let Some(kept) = self.get(db, &key, now) {
            return Ok(Some(kept));
        }
        let Some(value) = read.await? else { return Ok(None) };
        self.insert(key, value.clone(), now);
        Ok(Some(value))
    }

    /// The cached value, if it was read after the last change of its organization.
    pub(super) fn get(&self, db: &Db, key: &K, now: Moment) -> Option<V> {
        let is_valid = |kept: &Kept<V>| {
            db.state.cache_versions.is_current(kept.value.organization(), kept.version)
        };
        if !db.state.cache_versions.is_recent(now.at) {
            return None;
        }
        self.0.get(key).filter(is_valid).map(|kept| kept.value)
    }

    /// Keeps a value whose read began at `read_at`.
    pub(super) fn insert(&self, key: K, value: V, read_at: Moment) {
        self.0.insert(key, Kept { value, version: read_at.version });
    }
}

impl<K: Hash + Eq, V: OfOrganization> Default for OrganizationCache<K, V> {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}
