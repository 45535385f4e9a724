//! Reads outside of the transactions of changes.

use tokio::time::{Instant, timeout};

use super::pool::Pool;
use super::transaction::Transaction;
use crate::storage::error::{Cause, StoreError};
use crate::storage::statement::{Statement, StatementResult};

/// Runs statements that read. Clones share the connections.
#[derive(Clone)]
pub struct Readers {
    pool: Pool,
    /// Whether statements may take long. Such statements have connections of their own, and are
    /// cancelled when the caller drops the future.
    are_for_lists: bool,
}

impl Readers {
    /// Reads on the connections of a pool.
    pub fn new(pool: Pool) -> Self {
        Self { pool, are_for_lists: false }
    }

    /// The same connections, for statements that may take long.
    pub fn for_lists(&self) -> Self {
        Self { pool: self.pool.clone(), are_for_lists: true }
    }

    /// The connections.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A transaction whose statements all read the same state of the store as the first one.
    ///
    /// # Errors
    /// If no connection is free in time.
    pub(in crate::storage) async fn snapshot(&self) -> Result<Transaction, StoreError> {
        let transaction = Transaction::of_list(&self.pool, self.pool.until()).await?;
        for set in [
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            // The transaction may be idle for long while its caller writes the rows elsewhere.
            "SET LOCAL idle_in_transaction_session_timeout = 0",
        ] {
            transaction.run(Statement::new(set, Vec::new())).await?;
        }
        Ok(transaction)
    }

    /// Runs a statement that reads.
    pub(in crate::storage) async fn run(
        &self,
        statement: Statement,
    ) -> Result<StatementResult, StoreError> {
        let until = self.pool.until();
        match self.run_once(&statement, until).await {
            // The connection has ended. Another one may work, and a repeated read has no effect.
            Err(error) if error.cause == Cause::Away && Instant::now() < until => {
                self.run_once(&statement, until).await
            }
            result => result,
        }
    }

    async fn run_once(
        &self,
        statement: &Statement,
        until: Instant,
    ) -> Result<StatementResult, StoreError> {
        let shared = if self.are_for_lists { None } else { self.pool.shared().await };
        let Some(shared) = shared.transpose()? else {
            return Transaction::of_list(&self.pool, until)
                .await?
                .run_alone(statement.clone())
                .await;
        };
        // PostgreSQL's own time limits are set only in transactions.
        match timeout(self.pool.max_wait(), shared.run(statement)).await {
            Ok(result) => result,
            Err(_) => {
                shared.give_up();
                Err(StoreError::timed_out())
            }
        }
    }
}
