//! What queries run on: [`Db`] reads, [`Tx`] writes.
//!
//! Query functions take `&impl ConnectionTrait`, so that the same function reads
//! inside and outside a transaction; those that write take a [`Tx`], which only
//! [`Store::write`](super::Store::write) hands out.

use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, Statement,
};

/// Sees every statement before it runs; for tests that judge statements.
pub type StatementObserver = Arc<dyn Fn(&Statement) + Send + Sync>;

/// Reads, each statement by itself.
#[derive(Clone)]
pub struct Db {
    pub(super) connection: DatabaseConnection,
    pub(super) observer: Option<StatementObserver>,
}

/// One transaction of [`Store::write`](super::Store::write). It cannot outlive
/// the closure it is lent to.
pub struct Tx {
    pub(super) transaction: DatabaseTransaction,
    pub(super) observer: Option<StatementObserver>,
}

/// Passes every statement on to the connection inside.
macro_rules! delegate_connection {
    ($name:ident, $inner:ident) => {
        #[async_trait]
        impl ConnectionTrait for $name {
            fn get_database_backend(&self) -> DbBackend {
                self.$inner.get_database_backend()
            }

            async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
                self.observe(&statement);
                self.$inner.execute_raw(statement).await
            }

            async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
                self.$inner.execute_unprepared(sql).await
            }

            async fn query_one_raw(
                &self,
                statement: Statement,
            ) -> Result<Option<QueryResult>, DbErr> {
                self.observe(&statement);
                self.$inner.query_one_raw(statement).await
            }

            async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
                self.observe(&statement);
                self.$inner.query_all_raw(statement).await
            }
        }

        impl $name {
            fn observe(&self, statement: &Statement) {
                if let Some(observer) = &self.observer {
                    observer(statement);
                }
            }
        }
    };
}

delegate_connection!(Db, connection);
delegate_connection!(Tx, transaction);
