//! The store.

use std::time::Duration;

use serde::Deserialize;

/// `[database]`: how the store is used. Where it is, is `database_url`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Database {
    /// Connections to PostgreSQL, or read connections to SQLite.
    pub max_connections: u32,
    /// How long to wait for a free connection or for SQLite's write lock.
    #[serde(with = "humantime_serde")]
    pub acquire_timeout: Duration,
    /// Whether `serve` brings the schema up to date itself. Without it, run
    /// `guestlist migrate` first.
    pub migrate_on_start: bool,
}
