//! Checks of the server, at the start and for readiness.

use tokio::time::timeout;

use super::epoch::RAISE_EPOCH;
use super::errors::unusable;
use super::pool::Pool;
use super::transaction::Transaction;
use crate::storage::error::{Cause, StoreError};
use crate::storage::statement::{Statement, StatementResult};

impl Pool {
    /// Checks that a connection for changes is available and that its server accepts changes.
    ///
    /// # Errors
    /// If not.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        let preparing = &self.connector().preparing;
        if preparing.check().is_err() {
            preparing.try_again();
            self.check_prepared_statements().await?;
        }
        let until = self.until();
        let exclusive = self.exclusive_for_change().await?;
        exclusive.connection()?.command(RAISE_EPOCH).await?;
        let transaction = Transaction::of_change(self, exclusive, until);
        let query = "SELECT current_setting('transaction_read_only') AS read_only";
        let result = transaction.run(Statement::new(query, Vec::new())).await;
        transaction.rollback().await?;
        match setting(result?)?.as_str() {
            "off" => Ok(()),
            _ => Err(StoreError::away("PostgreSQL accepts no changes now")),
        }
    }

    /// Checks that the server can be used: its encoding, and a pooler in between.
    ///
    /// # Errors
    /// If not, with the reason.
    pub async fn check_server(&self) -> Result<(), StoreError> {
        let preparing = &self.connector().preparing;
        let was_on = preparing.is_on();
        match self.check_server_once().await {
            // The failed check has turned prepared statements off, so it runs again without them.
            Err(_) if was_on && !preparing.is_on() => self.check_server_once().await,
            result => result,
        }
    }

    async fn check_server_once(&self) -> Result<(), StoreError> {
        // This is first: if PostgreSQL has few free slots, changes need a connection most.
        self.check_writable().await?;
        let until = self.until();
        let query = "SELECT current_setting('server_encoding') AS encoding";
        let query = Statement::new(query, Vec::new());
        let encoding = setting(Transaction::of_list(self, until).await?.run_alone(query).await?)?;
        if encoding != "UTF8" {
            let why = "the database's encoding must be UTF8 and is";
            return Err(unusable(format!("{why} {encoding}: create it with ENCODING 'UTF8'")));
        }
        self.check_prepared_statements().await
    }

    /// Logs a warning if PostgreSQL acknowledges commits that it may lose.
    ///
    /// # Errors
    /// If the setting cannot be read.
    pub async fn warn_of_lost_commits(&self) -> Result<(), StoreError> {
        let until = self.until();
        let query = "SELECT current_setting('synchronous_commit') AS synchronous_commit";
        let query = Statement::new(query, Vec::new());
        let commit = setting(Transaction::of_list(self, until).await?.run_alone(query).await?)?;
        if !matches!(commit.as_str(), "on" | "remote_apply") {
            tracing::warn!(
                synchronous_commit = commit,
                "a crash or a failover of PostgreSQL may lose changes that were acknowledged, and \
                 readers of events may have seen them: set synchronous_commit to on"
            );
        }
        Ok(())
    }

    /// Finds out whether a pooler loses prepared statements: one connection prepares a
    /// statement and runs it while another one holds its server process in a transaction.
    async fn check_prepared_statements(&self) -> Result<(), StoreError> {
        let connector = self.connector();
        if !connector.preparing.is_on() {
            return Ok(());
        }
        let probe = async {
            let (one, other) = (connector.open().await?, connector.open().await?);
            one.try_prepared(&other).await
        };
        match timeout(connector.acquire_timeout, probe).await {
            Ok(Err(error)) if error.cause == Cause::StatementLost => Err(error),
            Ok(Err(_)) if !connector.preparing.is_on() => Ok(()),
            // PostgreSQL may have no free slots for two more connections. The first request that
            // loses a statement then reports it.
            Ok(Err(error)) => {
                tracing::debug!(%error, "it is not known whether a pooler loses prepared statements: the first lost one is reported");
                Ok(())
            }
            Ok(Ok(())) => Ok(()),
            // A pooler with one server process makes one connection wait for the other. Unless the
            // setting requires names, it is safe to run statements without them.
            Err(_) => {
                connector.preparing.doubt();
                Ok(())
            }
        }
    }
}

/// The value of the requested setting.
fn setting(mut result: StatementResult) -> Result<String, StoreError> {
    let row = result.rows.first_mut().ok_or_else(|| StoreError::fault("a setting has no row"))?;
    row.value()
}
