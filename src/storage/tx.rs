//! What queries run on: [`Db`] reads, [`Tx`] writes.
//!
//! Query functions take `&impl ConnectionTrait`, so that the same function reads
//! inside and outside a transaction; those that write take a [`Tx`], which only
//! [`Store::write`](super::Store::write) hands out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, EntityTrait, ExecResult, QueryResult, Statement};

use uuid::Uuid;

use super::error::OrError;
use super::room::Room;
use super::{postgres, sqlite};
use crate::error::Result;

/// Sees every statement before it runs; for tests that judge statements.
pub type StatementObserver = Arc<dyn Fn(&Statement) + Send + Sync>;

/// Who is told of what is done.
#[derive(Clone, Default)]
pub(super) struct Watching {
    pub(super) observer: Option<StatementObserver>,
    /// Another number whenever a key, or whose it is, may have changed.
    pub(super) keys_version: Arc<AtomicU64>,
    /// How often SQLite's file may have changed by this process.
    pub(super) commits: Arc<AtomicU64>,
    pub(super) room: Arc<Room>,
}

/// Reads, each statement by itself.
#[derive(Clone)]
pub struct Db {
    pub(super) engine: Readers,
    pub(super) watching: Watching,
}

/// What reads on each engine.
#[derive(Clone)]
pub(super) enum Readers {
    Postgres(postgres::Readers),
    Sqlite(sqlite::Readers),
}

/// One transaction of [`Store::write`](super::Store::write). It cannot outlive
/// the closure it is lent to.
pub struct Tx {
    pub(super) engine: Transaction,
    watching: Watching,
}

/// What writes on each engine.
pub(super) enum Transaction {
    Postgres(Arc<postgres::Transaction>),
    Sqlite(Arc<sqlite::Connection>),
}

impl Db {
    /// The same for lists: statements that may look at many rows and must not keep
    /// short ones from running.
    pub(super) fn long(&self) -> Self {
        let engine = match &self.engine {
            Readers::Postgres(readers) => Readers::Postgres(readers.long()),
            Readers::Sqlite(readers) => Readers::Sqlite(readers.long()),
        };
        Self { engine, watching: self.watching.clone() }
    }
}

impl Tx {
    /// A transaction that has begun.
    pub(super) fn new(engine: Transaction, watching: Watching) -> Self {
        Self { engine, watching }
    }

    /// Says that the first statement of this change locks the organization with this id.
    pub(super) async fn will_lock(&self, organization: Uuid) {
        if let Transaction::Postgres(inner) = &self.engine {
            inner.will_lock(organization).await;
        }
    }

    /// Writes rows of one table, by a statement that reads no other and whose answer
    /// changes nothing but whether there is a commit. PostgreSQL need not have seen it
    /// yet when this returns: if it refuses, so does whatever comes after, the commit
    /// at last.
    ///
    /// # Errors
    /// As the database has them.
    pub(super) async fn write_later<E: EntityTrait>(&self, statement: Statement) -> Result<()> {
        self.observe(&statement);
        match &self.engine {
            Transaction::Postgres(inner) => {
                let table = E::default().table_name();
                inner.write_later(postgres::Write { table, statement }).await;
                Ok(())
            }
            Transaction::Sqlite(inner) => inner.execute_raw(statement).await.map(drop).or_error(),
        }
    }

    /// Says that this change takes something from a key.
    pub(super) fn changes_keys(&self) {
        self.watching.keys_version.fetch_add(1, Ordering::SeqCst);
    }
}

/// Passes every statement on to the engine.
macro_rules! delegate {
    ($name:ident, $engine:ident: $($variant:ident),+) => {
        #[async_trait]
        impl ConnectionTrait for $name {
            fn get_database_backend(&self) -> DbBackend {
                match &self.engine {
                    $($engine::$variant(inner) => inner.get_database_backend(),)+
                }
            }

            async fn execute_raw(&self, statement: Statement) -> std::result::Result<ExecResult, DbErr> {
                self.observe(&statement);
                match &self.engine {
                    $($engine::$variant(inner) => inner.execute_raw(statement).await,)+
                }
                .inspect_err(|error| self.watching.room.met(error))
            }

            async fn execute_unprepared(&self, sql: &str) -> std::result::Result<ExecResult, DbErr> {
                match &self.engine {
                    $($engine::$variant(inner) => inner.execute_unprepared(sql).await,)+
                }
            }

            async fn query_one_raw(
                &self,
                statement: Statement,
            ) -> std::result::Result<Option<QueryResult>, DbErr> {
                self.observe(&statement);
                match &self.engine {
                    $($engine::$variant(inner) => inner.query_one_raw(statement).await,)+
                }
                .inspect_err(|error| self.watching.room.met(error))
            }

            async fn query_all_raw(&self, statement: Statement) -> std::result::Result<Vec<QueryResult>, DbErr> {
                self.observe(&statement);
                match &self.engine {
                    $($engine::$variant(inner) => inner.query_all_raw(statement).await,)+
                }
                .inspect_err(|error| self.watching.room.met(error))
            }
        }

        impl $name {
            fn observe(&self, statement: &Statement) {
                if let Some(observer) = &self.watching.observer {
                    observer(statement);
                }
            }
        }
    };
}

delegate!(Db, Readers: Postgres, Sqlite);
delegate!(Tx, Transaction: Postgres, Sqlite);
