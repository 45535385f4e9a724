//! A transaction in SeaORM's own type, which its migrator asks for.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DbErr, ProxyDatabaseTrait, ProxyExecResult,
    ProxyRow, Statement,
};

/// What is behind SeaORM's type. The transaction is the business of whoever began it:
/// SeaORM's own on this type would answer nothing.
struct Behind<C>(Arc<C>);

impl<C> fmt::Debug for Behind<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a transaction")
    }
}

/// A connection for SeaORM's migrator, inside the transaction that is open on it.
///
/// # Errors
/// None that is known; SeaORM's signature has one.
pub async fn database_connection<C>(transaction: Arc<C>) -> Result<DatabaseConnection, DbErr>
where
    C: ConnectionTrait + Send + Sync + 'static,
{
    let backend = transaction.get_database_backend();
    Database::connect_proxy(backend, Arc::new(Box::new(Behind(transaction)))).await
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> ProxyDatabaseTrait for Behind<C> {
    async fn query(&self, statement: Statement) -> Result<Vec<ProxyRow>, DbErr> {
        let rows = self.0.query_all_raw(statement).await?;
        Ok(rows.iter().filter_map(|row| row.try_as_proxy_row().cloned()).collect())
    }

    async fn execute(&self, statement: Statement) -> Result<ProxyExecResult, DbErr> {
        self.0.execute_raw(statement).await.map(Into::into)
    }
}
