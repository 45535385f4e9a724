//! A transaction that reads: all its statements see the store at one moment.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::DbBackend;

use super::connection::{Connection, Db, Readers, Transaction};
use super::error::StoreError;
use super::sqlite;
use super::statement::{Statement, StatementResult};
use crate::error::Result;

/// Runs statements that all see the store as it was at the first of them.
pub struct Snapshot(Transaction);

impl Snapshot {
    /// Begins the transaction.
    pub(super) async fn begin(db: &Db) -> Result<Self> {
        Ok(match &db.engine {
            Readers::Postgres(readers) => {
                Self(Transaction::Postgres(Arc::new(readers.snapshot().await?)))
            }
            Readers::Sqlite(readers) => Self::begin_on(readers.another()?)?,
        })
    }

    /// Begins a transaction on a SQLite file that no process uses.
    pub(super) fn begin_on_file(path: &Path) -> Result<Self> {
        Ok(Self::begin_on(sqlite::Connection::open_to_read(path, Duration::ZERO)?)?)
    }

    fn begin_on(connection: sqlite::Connection) -> Result<Self, StoreError> {
        connection.command("BEGIN")?;
        Ok(Self(Transaction::Sqlite(Arc::new(connection))))
    }

    /// Ends the transaction.
    pub(super) async fn end(self) -> Result<()> {
        match self.0 {
            Transaction::Postgres(transaction) => Ok(transaction.rollback().await?),
            Transaction::Sqlite(connection) => {
                connection.command("COMMIT")?;
                Ok(connection.close()?)
            }
        }
    }
}

impl Connection for Snapshot {
    fn backend(&self) -> DbBackend {
        match self.0 {
            Transaction::Postgres(_) => DbBackend::Postgres,
            Transaction::Sqlite(_) => DbBackend::Sqlite,
        }
    }

    async fn run(&self, statement: Statement) -> Result<StatementResult, StoreError> {
        self.0.run(statement).await
    }
}
