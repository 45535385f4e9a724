//! A connection in SeaORM's own type, which migrations ask for.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{
    Database, DatabaseConnection, DbBackend, DbErr, ProxyDatabaseTrait, ProxyExecResult, ProxyRow,
    Statement,
};

use super::connection::Connection;

/// The connection behind SeaORM's type. Transactions are the business of whoever
/// has the connection: SeaORM's own would answer nothing.
struct Behind(Arc<Connection>);

impl fmt::Debug for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SQLite")
    }
}

/// A connection for SeaORM's migrator, inside whatever transaction is open on it.
///
/// # Errors
/// None that is known; SeaORM's signature has one.
pub async fn database_connection(connection: Arc<Connection>) -> Result<DatabaseConnection, DbErr> {
    Database::connect_proxy(DbBackend::Sqlite, Arc::new(Box::new(Behind(connection)))).await
}

#[async_trait]
impl ProxyDatabaseTrait for Behind {
    async fn query(&self, statement: Statement) -> Result<Vec<ProxyRow>, DbErr> {
        let rows = self.0.query(&statement, usize::MAX)?;
        Ok(rows.iter().filter_map(|row| row.try_as_proxy_row().cloned()).collect())
    }

    async fn execute(&self, statement: Statement) -> Result<ProxyExecResult, DbErr> {
        self.0.execute(&statement).map(Into::into)
    }
}
