//! One transaction, which waits as little as it can.
//!
//! Its statements reach PostgreSQL in the order in which they are asked for, and are
//! done in that order. So BEGIN goes out with the first of them; reads that do not
//! depend on each other go together when they are asked for together
//! ([`try_join`](futures_util::future::try_join)), the lock before what it protects;
//! and what is only written ([`Transaction::write_later`]) goes out with what
//! follows it, the COMMIT at last, several [in one statement](super::writes). The
//! connection is the next one's from then on: what that one sends is behind the COMMIT.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::sync::Mutex;

use super::connection::{Answered, Coming, Connection};
use super::pool::{Exclusive, Pool};
use super::writes::{Write, together};
use crate::storage::failure::is_answer;

/// A transaction. Dropped before its commit, it is rolled back.
pub struct Transaction {
    /// Whoever has it locked sends the next statement.
    line: Mutex<Line>,
    /// Statements that have not gone well, or not yet.
    unwell: AtomicUsize,
}

/// What goes to PostgreSQL and comes from it, oldest first.
struct Line {
    /// None once the transaction's end was sent.
    on: Option<Exclusive>,
    /// Writes that are still to be sent.
    later: Vec<Write>,
    /// Answers that nobody waits for.
    unread: Vec<Coming>,
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
        let line = Line { on: Some(on), later: Vec::new(), unread: vec![begin] };
        Ok(Self { line: Mutex::new(line), unwell: AtomicUsize::new(0) })
    }

    /// Takes a write whose answer changes nothing but whether there is a commit: if it
    /// fails, so does what comes after it.
    pub async fn write_later(&self, write: Write) {
        self.line.lock().await.later.push(write);
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
        let mut line = self.line.lock().await;
        let sent = line.send_later().await;
        let unread = mem::take(&mut line.unread);
        if let Err(error) = sent {
            // What failed before it may be why.
            return Err(Uncommitted::Statement(read(unread).await.err().unwrap_or(error)));
        }
        let commit = line.end("COMMIT").await.map_err(Uncommitted::Statement)?;
        let earlier = read(unread).await;
        let committed = commit.await;
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
        let mut line = self.line.lock().await;
        line.unread.clear();
        line.end("ROLLBACK").await?.await.map(drop)
    }

    /// Sends a statement in its turn, and waits for its answer.
    async fn run(&self, statement: Statement) -> Result<Answered, DbErr> {
        self.unwell.fetch_add(1, Ordering::Relaxed);
        let (earlier, answer) = {
            let mut line = self.line.lock().await;
            let answer = match line.send_later().await {
                Ok(()) => line.connection()?.send(statement).await,
                Err(error) => Err(error),
            };
            (mem::take(&mut line.unread), answer)
        };
        // First: what failed before it may be why it does.
        read(earlier).await?;
        let answered = answer?.await?;
        self.unwell.fetch_sub(1, Ordering::Relaxed);
        Ok(answered)
    }
}

impl Line {
    fn connection(&self) -> Result<&Arc<Connection>, DbErr> {
        let on = self.on.as_ref();
        on.ok_or_else(|| DbErr::Custom("the transaction has ended".into()))?.connection()
    }

    /// Sends what is still to be sent.
    async fn send_later(&mut self) -> Result<(), DbErr> {
        for statement in together(mem::take(&mut self.later)) {
            let answer = self.connection()?.send(statement).await?;
            self.unread.push(answer);
        }
        Ok(())
    }

    /// Sends what ends the transaction, and lets the next one have the connection.
    async fn end(&mut self, command: &'static str) -> Result<Coming, DbErr> {
        let answer = self.connection()?.send_command(command).await;
        if let Some(on) = self.on.take() {
            on.set_busy(false);
        }
        Ok(answer)
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
