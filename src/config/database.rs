use std::time::Duration;

use serde::Deserialize;

/// `[database]`; see `default.toml` for the meaning of each setting.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Database {
    pub max_connections: u32,
    #[serde(with = "humantime_serde")]
    pub acquire_timeout: Duration,
    #[serde(with = "humantime_serde")]
    pub lock_timeout: Duration,
    #[serde(with = "humantime_serde")]
    pub statement_timeout: Duration,
    #[serde(with = "humantime_serde")]
    pub idle_in_transaction_timeout: Duration,
    pub migrate_on_start: bool,
    pub prepared_statements: PreparedStatements,
}

/// Whether statements are prepared by name on PostgreSQL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PreparedStatements {
    /// They are, unless a connection pooler is found to lose them.
    Auto,
    #[default]
    On,
    Off,
}
