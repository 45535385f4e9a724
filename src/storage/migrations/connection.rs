//! A transaction as SeaORM's own connection type, which its migrator needs.

use std::fmt;

use async_trait::async_trait;
use sea_orm::{
    Database, DatabaseConnection, DbBackend, DbErr, ProxyDatabaseTrait, ProxyExecResult, ProxyRow,
};

use crate::storage::connection::Transaction;
use crate::storage::error::StoreError;
use crate::storage::statement::{Statement, StatementResult};

/// Runs SeaORM's statements in a transaction of ours. SeaORM's own methods for transactions
/// have no effect: the caller commits.
struct Proxy(Transaction);

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a transaction")
    }
}

/// A connection for SeaORM's migrator inside an open transaction.
///
/// # Errors
/// None that is known; SeaORM's signature has one.
pub async fn database_connection(
    backend: DbBackend,
    transaction: Transaction,
) -> Result<DatabaseConnection, DbErr> {
    Database::connect_proxy(backend, std::sync::Arc::new(Box::new(Proxy(transaction)))).await
}

impl Proxy {
    async fn run(&self, statement: sea_orm::Statement) -> Result<StatementResult, DbErr> {
        let values = statement.values.map(|values| values.0).unwrap_or_default();
        self.0.run(Statement::new(statement.sql, values)).await.map_err(failed)
    }
}

#[async_trait]
impl ProxyDatabaseTrait for Proxy {
    async fn query(&self, statement: sea_orm::Statement) -> Result<Vec<ProxyRow>, DbErr> {
        let columns = self.0.columns(statement.sql.clone()).await.map_err(failed)?;
        let rows = self.run(statement).await?.rows.into_iter();
        let named = |row| columns.iter().cloned().zip(row).collect();
        Ok(rows.map(|row| ProxyRow::new(named(row.into_values()))).collect())
    }

    async fn execute(&self, statement: sea_orm::Statement) -> Result<ProxyExecResult, DbErr> {
        let result = self.run(statement).await?;
        Ok(ProxyExecResult { last_insert_id: 0, rows_affected: result.affected })
    }
}

fn failed(error: StoreError) -> DbErr {
    DbErr::Custom(error.to_string())
}
