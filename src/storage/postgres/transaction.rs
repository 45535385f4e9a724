//! One transaction, which waits as little as it can.
//!
//! Its statements reach PostgreSQL in the order in which they are asked for, and are
//! done in that order. So BEGIN goes out with the first of them, with bounds on how long
//! PostgreSQL may wait or work for this transaction; reads that do not
//! depend on each other go together when they are asked for together
//! ([`try_join`](futures_util::future::try_join)), the lock before what it protects;
//! and what is only written ([`Transaction::write_later`]) goes out with what
//! follows it, the COMMIT at last, several [in one statement](super::writes). The
//! connection is the next one's from then on: what that one sends is behind the COMMIT.

use std::mem;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, sqlx};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::connection::{Answered, Coming, Connection};
use super::pool::{Exclusive, Pool, Purpose};
use super::unread::Unread;
use super::writes::{Write, together};
use crate::storage::failure::{is_answer, unconnected};

/// A transaction. Dropped before its commit, it is cancelled and rolled back.
pub struct Transaction {
    /// Whoever has it locked sends the next statement.
    line: Mutex<Line>,
    /// Statements that have not gone well, or not yet.
    unwell: AtomicUsize,
    /// Whether PostgreSQL has answered BEGIN, and so all that others sent before it.
    has_begun: Arc<AtomicBool>,
    /// When a connection and its answer to BEGIN must be there.
    until: Instant,
    /// How long any later answer may take; PostgreSQL ends a statement before that.
    patience: Duration,
    /// The connection, once there is one.
    connection: OnceLock<Arc<Connection>>,
}

/// What goes to PostgreSQL and comes from it, oldest first.
struct Line {
    place: Place,
    /// Writes that are still to be sent.
    later: Vec<Write>,
    /// Answers that nobody waits for.
    unread: Unread,
}

/// Where a transaction is.
enum Place {
    /// Nothing was sent: it has no connection yet.
    Nowhere {
        pool: Pool,
        purpose: Purpose,
        organization: Option<Uuid>,
    },
    On(Exclusive),
    /// Its end was sent.
    Ended,
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
    /// A transaction of a change, which begins with its first statement: with a
    /// connection that must be there by `until`.
    pub fn of_change(pool: &Pool, until: Instant) -> Self {
        Self::new(pool, Purpose::Change, until)
    }

    /// One that reads.
    pub(super) fn of_list(pool: &Pool, until: Instant) -> Self {
        Self::new(pool, Purpose::List, until)
    }

    fn new(pool: &Pool, purpose: Purpose, until: Instant) -> Self {
        let place = Place::Nowhere { pool: pool.clone(), purpose, organization: None };
        Self {
            line: Mutex::new(Line { place, later: Vec::new(), unread: Unread::default() }),
            unwell: AtomicUsize::new(0),
            has_begun: Arc::default(),
            until,
            patience: pool.patience(),
            connection: OnceLock::new(),
        }
    }

    /// Says which organization's lock the first statement takes: the transaction waits
    /// for its turn among that organization's before it takes a connection.
    pub async fn will_lock(&self, id: Uuid) {
        if let Place::Nowhere { organization, .. } = &mut self.line.lock().await.place {
            *organization = Some(id);
        }
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
        if line.later.is_empty() && matches!(line.place, Place::Nowhere { .. }) {
            return Ok(());
        }
        let sent = timeout_at(self.bound(), self.send_later(&mut line)).await;
        let sent = sent.unwrap_or_else(|_| Err(self.give_up()));
        let unread = mem::take(&mut line.unread);
        if let Err(error) = sent {
            // What failed before it may be why.
            let earlier = self.in_time(unread.read()).await;
            return Err(Uncommitted::Statement(earlier.err().unwrap_or(error)));
        }
        let commit = line.end("COMMIT").await.map_err(Uncommitted::Statement)?;
        let bound = self.bound();
        let answers = async { (unread.read().await, commit.await) };
        let Ok((earlier, committed)) = timeout_at(bound, answers).await else {
            // Not cancelled: the commit may have been made and be on its way to a standby.
            self.connection.get().inspect(|connection| connection.cut());
            return Err(Uncommitted::Commit(too_late()));
        };
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
        line.unread = Unread::default();
        line.later.clear();
        if matches!(line.place, Place::Nowhere { .. }) {
            line.place = Place::Ended;
            return Ok(());
        }
        let answer = line.end("ROLLBACK").await?;
        drop(line);
        self.in_time(answer).await.map(drop)
    }

    /// Runs a statement that is all of the transaction.
    pub(super) async fn run_alone(self, statement: Statement) -> Result<Answered, DbErr> {
        let answered = self.run(statement).await;
        // Its answer tells nothing: there is nothing to take back.
        match self.line.lock().await.end("ROLLBACK").await {
            Ok(answer) => drop(answer),
            Err(error) => tracing::debug!(%error, "a connection ended with its statement"),
        }
        answered
    }

    /// Sends a statement in its turn, and waits for its answer.
    pub(super) async fn run(&self, statement: Statement) -> Result<Answered, DbErr> {
        self.unwell.fetch_add(1, Ordering::Relaxed);
        let sending = async {
            let (earlier, answer) = {
                let mut line = self.line.lock().await;
                let answer = match self.send_later(&mut line).await {
                    Ok(()) => self.send(&mut line, statement).await,
                    Err(error) => Err(error),
                };
                (mem::take(&mut line.unread), answer)
            };
            // First: what failed before it may be why it does.
            earlier.read().await?;
            answer
        };
        let sent = timeout_at(self.bound(), sending).await;
        let answer = sent.unwrap_or_else(|_| Err(self.give_up()))?;
        let answered = self.in_time(answer).await?;
        self.unwell.fetch_sub(1, Ordering::Relaxed);
        Ok(answered)
    }

    /// When what is sent now must have been answered.
    fn bound(&self) -> Instant {
        match self.has_begun.load(Ordering::Relaxed) {
            true => Instant::now() + self.patience,
            false => self.until,
        }
    }

    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        timeout(self.patience, answer).await.unwrap_or_else(|_| Err(self.give_up()))
    }

    /// Ends the connection, whose server has been silent for too long.
    fn give_up(&self) -> DbErr {
        self.connection.get().inspect(|connection| match self.has_begun.load(Ordering::Relaxed) {
            true => connection.give_up(),
            // What runs on it may still be of the one before.
            false => connection.cut(),
        });
        too_late()
    }

    /// Sends a statement. Answers to earlier ones are read meanwhile: unread, they keep
    /// the answer to the preparation of this one from coming through.
    async fn send(&self, line: &mut Line, statement: Statement) -> Result<Coming, DbErr> {
        let connection = self.connection(line).await?;
        line.unread.beside(connection.send(statement)).await
    }

    /// Sends what is still to be sent.
    async fn send_later(&self, line: &mut Line) -> Result<(), DbErr> {
        for statement in together(mem::take(&mut line.later)) {
            let answer = self.send(line, statement).await?;
            line.unread.push(answer);
        }
        Ok(())
    }

    /// The connection; at first it is taken, and the transaction begins.
    async fn connection(&self, line: &mut Line) -> Result<Arc<Connection>, DbErr> {
        if let Place::Nowhere { pool, purpose, organization } = &line.place {
            let mut on = pool.exclusive(*purpose, *organization).await?;
            on.set_busy(Some(Arc::clone(&self.has_begun)));
            let connection = Arc::clone(on.connection()?);
            let begin = connection.send_command(pool.begin(*purpose)).await;
            let has_begun = Arc::clone(&self.has_begun);
            line.place = Place::On(on);
            line.unread.push(Box::pin(async move {
                let answered = begin.await?;
                has_begun.store(true, Ordering::Relaxed);
                Ok(answered)
            }));
            self.connection.get_or_init(|| connection);
        }
        line.connection().cloned()
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let line = self.line.get_mut();
        if let Place::On(on) = &mut line.place {
            on.give_up(*self.unwell.get_mut() != 0 || !line.unread.is_empty());
        }
    }
}

impl Line {
    fn connection(&self) -> Result<&Arc<Connection>, DbErr> {
        match &self.place {
            Place::On(on) => on.connection(),
            _ => Err(DbErr::Custom("the transaction has ended".into())),
        }
    }

    /// Sends what ends the transaction, and lets the next one have the connection.
    async fn end(&mut self, command: &str) -> Result<Coming, DbErr> {
        let answer = self.connection()?.send_command(command.into()).await;
        if let Place::On(mut on) = mem::replace(&mut self.place, Place::Ended) {
            on.set_busy(None);
        }
        Ok(answer)
    }
}

fn too_late() -> DbErr {
    unconnected(sqlx::Error::PoolTimedOut)
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
