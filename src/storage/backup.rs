//! Backups of a SQLite store: their content, and whether they can be used.

use std::path::Path;

use super::migrations::{self, Schema};
use super::settings::{self, SECRET_KEY_FINGERPRINT};
use super::snapshot::Snapshot;
use super::sqlite;
use crate::error::{Error, Kind, Result};

/// The number of rows of each table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRows(pub(super) sqlite::Rows);

impl TableRows {
    /// The number of rows of one table.
    pub fn of(&self, table: &str) -> u64 {
        self.0.get(table).copied().unwrap_or_default()
    }
}

/// What a backup holds.
pub(super) struct Backup {
    pub rows: TableRows,
    /// The fingerprint of the key that sealed its tokens; `None` if no server has ever used the
    /// store.
    pub secret_key_fingerprint: Option<String>,
}

/// Reads a whole backup, and checks that this program can use it. No process may use the file
/// meanwhile.
///
/// # Errors
/// FAILED_PRECONDITION if it is damaged, is not a store, or has a newer schema than this program.
pub(super) async fn check_backup(path: &Path) -> Result<Backup> {
    let rows = sqlite::check(path).map_err(|why| {
        let message = format!("it is no SQLite database, or is damaged: {why}");
        Error::new(Kind::FailedPrecondition, message)
    })?;
    let snapshot = Snapshot::begin_on_file(path)?;
    let schema = migrations::schema(&snapshot).await?;
    match schema {
        Schema::Missing => {
            let message = "it is a SQLite database, but not a store of guestlist";
            return Err(Error::new(Kind::FailedPrecondition, message));
        }
        Schema::Ahead(_) => schema.require_current()?,
        // A server migrates an older schema.
        Schema::Current | Schema::Behind(_) => {}
    }
    let secret_key_fingerprint = settings::get(&snapshot, SECRET_KEY_FINGERPRINT).await?;
    snapshot.end().await?;
    Ok(Backup { rows: TableRows(rows), secret_key_fingerprint })
}

pub(super) fn not_sqlite() -> Error {
    Error::new(Kind::FailedPrecondition, "the store is on PostgreSQL, which has backups of its own")
}
