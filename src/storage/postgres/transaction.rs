//! One transaction, which waits as little as it can.
//!
//! Its statements reach PostgreSQL in the order in which they are asked for, and are
//! done in that order. So BEGIN goes out with the first of them; reads that do not
//! depend on each other go together when they are asked for together
//! ([`try_join`](futures_util::future::try_join)), the lock before what it protects;
//! and what is only written ([`Transaction::execute_later`]) goes out with what
//! follows it, the COMMIT at last.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::sync::Mutex;

use super::connection::{Answered, Coming};
use super::pool::{Exclusive, Pool};
use crate::storage::failure::is_answer;

/// A transaction. Dropped before its commit, it is rolled back.
pub struct Transaction {
    on: Exclusive,
    /// Answers to statements that nobody waits for, oldest first. Whoever has it
    /// locked sends the next statement.
    unread: Mutex<Vec<Coming>>,
    /// Statements that have not gone well, or not yet.
    unwell: AtomicUsize,
}

/// Why there was no commit.
#[derive(Debug)]
pub(in crate::storage) enum Uncommitted {
    /// A statement before it failed: nothing was changed.
    Statement(DbErr),
    /// It failed, or its answer was lost.
    Commit(DbErr),
}

impl Transaction {
    /// Begins one.
    ///
    /// # Errors
    /// If there is no connection for it.
    pub async fn begin(pool: &Pool) -> Result<Self, DbErr> {
        let on = pool.exclusive().await?;
        on.set_busy(true);
        let begin = on.connection()?.send_command("BEGIN").await;
        Ok(Self { on, unread: Mutex::new(vec![begin]), unwell: AtomicUsize::new(0) })
    }

    /// Sends a statement whose answer changes nothing but whether there is a commit:
    /// if it fails, so does what comes after it.
    ///
    /// # Errors
    /// If it cannot be sent.
    pub async fn execute_later(&self, statement: Statement) -> Result<(), DbErr> {
        self.unwell.fetch_add(1, Ordering::Relaxed);
        let mut unread = self.unread.lock().await;
        match self.on.connection()?.send(statement).await {
            Ok(answer) => unread.push(answer),
            Err(error) => {
                // What failed before it may be why.
                read(mem::take(&mut *unread)).await?;
                return Err(error);
            }
        }
        self.unwell.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }

    /// Commits. Nothing is to be acknowledged unless it answers `Ok`.
    ///
    /// # Errors
    /// See [`Uncommitted`].
    pub async fn commit(&self) -> Result<(), Uncommitted> {
        if self.unwell.load(Ordering::Relaxed) != 0 {
            // PostgreSQL would answer a COMMIT with a ROLLBACK, and no error.
            let why = "a statement of this change failed, or was not waited for";
            return Err(Uncommitted::Statement(DbErr::Custom(why.into())));
        }
        let mut unread = self.unread.lock().await;
        let connection = self.on.connection().map_err(Uncommitted::Statement)?;
        let commit = connection.send_command("COMMIT").await;
        let earlier = read(mem::take(&mut *unread)).await;
        let committed = commit.await;
        self.on.set_busy(false);
        match earlier {
            // PostgreSQL's own word: what it was sent after that, it did not do.
            Err(error) if is_answer(&error) => Err(Uncommitted::Statement(error)),
            Err(error) => Err(Uncommitted::Commit(error)),
            Ok(()) => committed.map(drop).map_err(Uncommitted::Commit),
        }
    }

    /// Takes everything back.
    ///
    /// # Errors
    /// If the connection has gone, which does the same.
    pub async fn rollback(&self) -> Result<(), DbErr> {
        let mut unread = self.unread.lock().await;
        unread.clear();
        self.on.connection()?.command("ROLLBACK").await?;
        self.on.set_busy(false);
        Ok(())
    }

    /// Sends a statement in its turn, and waits for its answer.
    async fn run(&self, statement: Statement) -> Result<Answered, DbErr> {
        self.unwell.fetch_add(1, Ordering::Relaxed);
        let connection = self.on.connection()?;
        let (earlier, answer) = {
            let mut unread = self.unread.lock().await;
            let answer = connection.send(statement).await;
            (mem::take(&mut *unread), answer)
        };
        // First: what failed before it may be why it does.
        read(earlier).await?;
        let answered = answer?.await?;
        self.unwell.fetch_sub(1, Ordering::Relaxed);
        Ok(answered)
    }
}

/// Reads answers of which nothing is wanted but that they are good. In their order: an
/// answer that nobody reads holds up those behind it.
async fn read(unread: Vec<Coming>) -> Result<(), DbErr> {
    for answer in unread {
        answer.await?;
    }
    Ok(())
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        Ok(self.run(statement).await?.written())
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.execute_raw(Statement::from_string(DbBackend::Postgres, sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.run(statement).await?.one()
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.run(statement).await?.all()
    }
}
