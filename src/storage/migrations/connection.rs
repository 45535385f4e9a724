//! A transaction as SeaORM's own connection type, which its migrator needs.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sea_orm::{
    Database, DatabaseConnection, DbBackend, DbErr, ProxyDatabaseTrait, ProxyExecResult, ProxyRow,
};

use crate::storage::connection::Transaction;
use crate::storage::error::StoreError;
use crate::storage::statement::{Statement, StatementResult};

/// Runs SeaORM's statements in a transaction of ours. SeaORM's own methods for transactions
/// have no effect: the caller commits.
struct Proxy {
    transaction: Transaction,
    failure: Failure,
}

/// The error of a failed statement. SeaORM's own error contains only its text.
pub type Failure = Arc<Mutex<Option<StoreError>>>;

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a transaction")
    }
}

/// A connection for SeaORM's migrator inside an open transaction. The first statement that
/// fails sets `failure`.
///
/// # Errors
/// No error is known; the signature of SeaORM's function has one.
pub async fn database_connection(
    backend: DbBackend,
    transaction: Transaction,
    failure: Failure,
) -> Result<DatabaseConnection, DbErr> {
    let proxy = Proxy { transaction, failure };
    Database::connect_proxy(backend, Arc::new(Box::new(proxy))).await
}

impl Proxy {
    async fn run(&self, statement: sea_orm::Statement) -> Result<StatementResult, DbErr> {
        let values = statement.values.map(|values| values.0).unwrap_or_default();
        let statement = Statement::new(statement.sql, values).naming_columns();
        let result = self.transaction.run(statement).await;
        result.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: StoreError) -> DbErr {
        let text = error.to_string();
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        DbErr::Custom(text)
    }
}

#[async_trait]
impl ProxyDatabaseTrait for Proxy {
    async fn query(&self, statement: sea_orm::Statement) -> Result<Vec<ProxyRow>, DbErr> {
        let StatementResult { rows, columns, .. } = self.run(statement).await?;
        let named = |row| columns.iter().cloned().zip(row).collect();
        Ok(rows.into_iter().map(|row| ProxyRow::new(named(row.into_values()))).collect())
    }

    async fn execute(&self, statement: sea_orm::Statement) -> Result<ProxyExecResult, DbErr> {
        let result = self.run(statement).await?;
        Ok(ProxyExecResult { last_insert_id: 0, rows_affected: result.affected })
    }
}
