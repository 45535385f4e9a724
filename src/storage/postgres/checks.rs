//! Checks of the server, at the start and for readiness.

use std::sync::atomic::Ordering;

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
        if self.connector().check().is_err() {
            self.check_prepared_statements().await?;
        }
        let until = self.until();
        let exclusive = self.exclusive_for_change().await?;
        exclusive.connection()?.command(RAISE_EPOCH).await?;
        let transaction = Transaction::of_change(self, exclusive, until);
        let asked = "SELECT current_setting('transaction_read_only') AS read_only";
        let result = transaction.run(Statement::new(asked, Vec::new())).await;
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
        // First: if PostgreSQL has few free slots, a change needs one most.
        self.check_writable().await?;
        let until = self.until();
        let asked = "SELECT current_setting('server_encoding') AS encoding";
        let asked = Statement::new(asked, Vec::new());
        let encoding = setting(Transaction::of_list(self, until).await?.run_alone(asked).await?)?;
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
        let asked = "SELECT current_setting('synchronous_commit') AS synchronous_commit";
        let asked = Statement::new(asked, Vec::new());
        let commit = setting(Transaction::of_list(self, until).await?.run_alone(asked).await?)?;
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
        connector.loses_statements.store(false, Ordering::Relaxed);
        let probe = async {
            let (one, other) = (connector.open().await?, connector.open().await?);
            let busy = other.command("BEGIN");
            let tried = one.try_prepared(busy).await;
            other.command("ROLLBACK").await?;
            tried
        };
        match timeout(connector.acquire_timeout, probe).await {
            Ok(Err(error)) if error.cause == Cause::StatementLost => Err(error),
            // PostgreSQL may have no slots for two more, or the pooler one process only. The
            // first request that fails shows it then.
            Ok(Err(error)) => {
                tracing::debug!(%error, "it is not known whether a pooler loses prepared statements: the first lost one is reported");
                Ok(())
            }
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }
}

/// The value of a setting that was asked for.
fn setting(mut result: StatementResult) -> Result<String, StoreError> {
    let row = result.rows.first_mut().ok_or_else(|| StoreError::fault("a setting has no row"))?;
    row.value()
}
