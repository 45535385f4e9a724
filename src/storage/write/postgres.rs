//! Runs a change on PostgreSQL: in a transaction of its own, on a connection of its own.

use std::sync::Arc;

use tokio::time::Instant;

use crate::error::Result;
use crate::storage::connection::{StoreState, Transaction, Tx};
use crate::storage::error::WriteError;
use crate::storage::postgres::{Pool, Transaction as PostgresTransaction};

/// Runs a change. It begins by `until` or not at all.
pub(super) async fn write<T>(
    pool: &Pool,
    change: &impl AsyncFn(&Tx) -> Result<T>,
    state: Arc<StoreState>,
    until: Instant,
) -> Result<T, WriteError> {
    let transaction = Arc::new(PostgresTransaction::of_change(pool, until));
    let tx = Tx::new(Transaction::Postgres(Arc::clone(&transaction)), state);
    match change(&tx).await {
        Ok(value) => transaction.commit().await.map(|()| value),
        Err(error) => {
            if let Err(error) = transaction.rollback().await {
                tracing::debug!(%error, "a rollback failed: the end of its connection does the same");
            }
            Err(WriteError::NotDone(error, tx.cause()))
        }
    }
}
