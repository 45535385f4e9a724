//! Reads outside of transactions.

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, sqlx};
use tokio::time::{Instant, timeout};

use super::connection::Answered;
use super::pool::Pool;
use super::transaction::Transaction;
use crate::storage::error::{Cause, cause};
use crate::storage::failure::unconnected;

/// Reads, each statement by itself. Clones share the connections.
#[derive(Clone)]
pub struct Readers {
    pool: Pool,
    /// Whether statements may take long: they have connections of their own, and are
    /// cancelled when nobody waits for them.
    are_long: bool,
}

impl Readers {
    /// Reads on these connections.
    pub fn new(pool: Pool) -> Self {
        Self { pool, are_long: false }
    }

    /// The same for statements that may take long.
    pub fn long(&self) -> Self {
        Self { pool: self.pool.clone(), are_long: true }
    }

    /// The connections.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    async fn run(&self, statement: &Statement) -> Result<Answered, DbErr> {
        let until = self.pool.until();
        match self.run_once(statement, until).await {
            // Its connection has gone. There may be others, and to read twice changes
            // nothing.
            Err(error) if cause(&error) == Cause::Away && Instant::now() < until => {
                self.run_once(statement, until).await
            }
            answered => answered,
        }
    }

    async fn run_once(&self, statement: &Statement, until: Instant) -> Result<Answered, DbErr> {
        let shared = if self.are_long { None } else { self.pool.shared().await };
        let Some(shared) = shared.transpose()? else {
            return Transaction::of_list(&self.pool, until).run_alone(statement.clone()).await;
        };
        // No bound of PostgreSQL's holds outside of a transaction.
        match timeout(self.pool.patience(), shared.run(statement)).await {
            Ok(answered) => answered,
            Err(_) => {
                shared.give_up();
                Err(unconnected(sqlx::Error::PoolTimedOut))
            }
        }
    }
}

#[async_trait]
impl ConnectionTrait for Readers {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        Ok(self.run(&statement).await?.written())
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.execute_raw(Statement::from_string(DbBackend::Postgres, sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.run(&statement).await?.one()
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.run(&statement).await?.all()
    }
}
