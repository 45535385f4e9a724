//! The store.

use std::time::Duration;

use serde::Deserialize;

/// `[database]`: how the store is used. Where it is, is `database_url`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Database {
    /// Connections to PostgreSQL, or read connections to SQLite.
    pub max_connections: u32,
    /// How long a change waits until it begins, all tries together: for a free
    /// connection, for other changes of its organization, or for SQLite's write lock.
    #[serde(with = "humantime_serde")]
    pub acquire_timeout: Duration,
    /// How long a change on PostgreSQL waits for a row that another one has locked.
    #[serde(with = "humantime_serde")]
    pub lock_timeout: Duration,
    /// How long one statement may take on PostgreSQL.
    #[serde(with = "humantime_serde")]
    pub statement_timeout: Duration,
    /// How long PostgreSQL keeps a transaction, and the rows it has locked, of a process
    /// that has fallen silent.
    #[serde(with = "humantime_serde")]
    pub idle_in_transaction_timeout: Duration,
    /// Whether `serve` brings the schema up to date itself. Without it, run
    /// `guestlist migrate` first.
    pub migrate_on_start: bool,
}
