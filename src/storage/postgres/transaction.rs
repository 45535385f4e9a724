//! One transaction, whose statements do not wait for the results of earlier ones.
//!
//! PostgreSQL receives the statements in the order of the calls, and runs them in that order. BEGIN
//! is sent with the first of them, with limits on how long PostgreSQL may wait or work for this
//! transaction. Reads that do not depend on each other are sent together if they are polled
//! together ([`try_join`](futures_util::future::try_join)); a lock is polled before the reads of
//! the rows that it protects. The results of queued writes ([`Transaction::queue`]) are read with
//! the result of the next statement, at the latest of COMMIT. Once COMMIT is sent, the next
//! transaction may use the connection: its statements run after the COMMIT.

use std::mem;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

use super::connection::{Connection, PendingResult};
use super::pool::{Exclusive, Pool, Purpose};
use super::unread::Unread;
use crate::storage::error::{StoreError, TransactionError};
use crate::storage::statement::{Statement, StatementResult};

/// A transaction. If it is dropped before its commit, its running statement is cancelled
/// and it is rolled back.
pub struct Transaction {
    /// Locked while a statement is sent.
    pipeline: Mutex<Pipeline>,
    /// The number of statements that failed or have no result yet, without queued ones.
    unfinished: AtomicUsize,
    /// Whether PostgreSQL has answered BEGIN, and so also all statements of earlier transactions.
    has_begun: Arc<AtomicBool>,
    /// The deadline for a connection and for its answer to BEGIN.
    until: Instant,
    /// The longest wait for a later result; PostgreSQL ends a statement before that.
    max_wait: Duration,
    /// The connection; set when the transaction begins.
    connection: OnceLock<Arc<Connection>>,
}

struct Pipeline {
    stage: Stage,
    /// Results of BEGIN and of queued writes.
    unread: Unread,
}

enum Stage {
    /// Nothing is sent yet. The text is the command that begins the transaction.
    New(Exclusive, Arc<str>),
    Begun(Exclusive),
    /// COMMIT or ROLLBACK is sent.
    Ended,
}

impl Transaction {
    /// A transaction of changes. Its first statement begins it, and PostgreSQL must answer BEGIN by
    /// `until`.
    pub fn of_change(pool: &Pool, exclusive: Exclusive, until: Instant) -> Self {
        Self::new(pool, exclusive, Purpose::Change, until)
    }

    /// A transaction that only reads, on a connection that must be available by `until`.
    pub(super) async fn of_list(pool: &Pool, until: Instant) -> Result<Self, StoreError> {
        let exclusive = timeout_at(until, pool.exclusive(Purpose::List)).await;
        let exclusive = exclusive.unwrap_or_else(|_| Err(StoreError::timed_out()))?;
        Ok(Self::new(pool, exclusive, Purpose::List, until))
    }

    fn new(pool: &Pool, exclusive: Exclusive, purpose: Purpose, until: Instant) -> Self {
        let stage = Stage::New(exclusive, pool.begin(purpose));
        Self {
            pipeline: Mutex::new(Pipeline { stage, unread: Unread::default() }),
            unfinished: AtomicUsize::new(0),
            has_begun: Arc::default(),
            until,
            max_wait: pool.max_wait(),
            connection: OnceLock::new(),
        }
    }

    /// Sends a write whose result is not needed as long as it succeeds.
    ///
    /// # Errors
    /// If it cannot be sent. If it fails later, the statements after it fail too.
    pub async fn queue(&self, statement: Statement) -> Result<(), StoreError> {
        self.unfinished.fetch_add(1, Ordering::Relaxed);
        let sending = async {
            let mut pipeline = self.pipeline.lock().await;
            let result = self.send(&mut pipeline, statement).await;
            if result.is_err() {
                // Read first: an earlier failure may be the reason for this one.
                mem::take(&mut pipeline.unread).read().await?;
            }
            pipeline.unread.push(result?);
            Ok(())
        };
        let sent = timeout_at(self.bound(), sending).await;
        sent.unwrap_or_else(|_| Err(self.give_up()))?;
        self.unfinished.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }

    /// Checks that each statement has succeeded and that its result was awaited, except for queued
    /// ones.
    ///
    /// # Errors
    /// If not. PostgreSQL would answer COMMIT with ROLLBACK, without an error.
    pub fn check_finished(&self) -> Result<(), StoreError> {
        match self.unfinished.load(Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(StoreError::fault("a statement of this change failed, or was not waited for")),
        }
    }

    /// Commits. A change is acknowledged only if this returns `Ok`.
    ///
    /// # Errors
    /// See [`TransactionError`].
    pub async fn commit(&self) -> Result<(), TransactionError> {
        self.check_finished()?;
        let mut pipeline = self.pipeline.lock().await;
        if matches!(pipeline.stage, Stage::New(..)) {
            return Ok(());
        }
        let unread = mem::take(&mut pipeline.unread);
        let commit = pipeline.end("COMMIT").await?;
        let results = async { (unread.read().await, commit.await) };
        let Ok((earlier, committed)) = timeout_at(self.bound(), results).await else {
            // Not cancelled: PostgreSQL may be sending the commit to a standby.
            self.connection.get().inspect(|connection| connection.cut());
            return Err(TransactionError::unknown(StoreError::timed_out()));
        };
        match earlier {
            // PostgreSQL has reported this error, so it has run no statement after it.
            Err(error) if error.code.is_some() => Err(error.into()),
            Err(error) => Err(TransactionError::unknown(error)),
            Ok(()) => committed.map(drop).map_err(TransactionError::unknown),
        }
    }

    /// Rolls back.
    ///
    /// # Errors
    /// If the connection has ended, which also rolls back.
    pub async fn rollback(&self) -> Result<(), StoreError> {
        let mut pipeline = self.pipeline.lock().await;
        pipeline.unread = Unread::default();
        if matches!(pipeline.stage, Stage::New(..)) {
            pipeline.stage = Stage::Ended;
            return Ok(());
        }
        let result = pipeline.end("ROLLBACK").await?;
        drop(pipeline);
        self.in_time(result).await.map(drop)
    }

    /// Runs the only statement of the transaction.
    pub(super) async fn run_alone(
        self,
        statement: Statement,
    ) -> Result<StatementResult, StoreError> {
        let result = self.run(statement).await;
        // Its result is not needed: there is nothing to roll back.
        match self.pipeline.lock().await.end("ROLLBACK").await {
            Ok(rolled_back) => drop(rolled_back),
            Err(error) => tracing::debug!(%error, "a connection ended with its statement"),
        }
        result
    }

    /// Sends a statement after the earlier ones, and waits for its result.
    pub async fn run(&self, statement: Statement) -> Result<StatementResult, StoreError> {
        self.unfinished.fetch_add(1, Ordering::Relaxed);
        let sending = async {
            let (earlier, result) = {
                let mut pipeline = self.pipeline.lock().await;
                let result = self.send(&mut pipeline, statement).await;
                (mem::take(&mut pipeline.unread), result)
            };
            // Read first: an earlier failure may be the reason for this one.
            earlier.read().await?;
            result
        };
        let sent = timeout_at(self.bound(), sending).await;
        let result = sent.unwrap_or_else(|_| Err(self.give_up()))?;
        let result = self.in_time(result).await?;
        self.unfinished.fetch_sub(1, Ordering::Relaxed);
        Ok(result)
    }

    /// The deadline for the result of a statement that is sent now.
    fn bound(&self) -> Instant {
        match self.has_begun.load(Ordering::Relaxed) {
            true => Instant::now() + self.max_wait,
            false => self.until,
        }
    }

    async fn in_time<T>(
        &self,
        result: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        timeout(self.max_wait, result).await.unwrap_or_else(|_| Err(self.give_up()))
    }

    /// Ends the connection: its server has not answered in time.
    fn give_up(&self) -> StoreError {
        self.connection.get().inspect(|connection| match self.has_begun.load(Ordering::Relaxed) {
            true => connection.give_up(),
            // The running statement may belong to the previous transaction.
            false => connection.cut(),
        });
        StoreError::timed_out()
    }

    /// Sends a statement. Earlier results are read meanwhile: unread results delay the result of
    /// this statement's preparation.
    async fn send(
        &self,
        pipeline: &mut Pipeline,
        statement: Statement,
    ) -> Result<PendingResult, StoreError> {
        let connection = self.connection(pipeline).await?;
        pipeline.unread.beside(connection.send(statement)).await
    }

    /// The connection. The first call begins the transaction.
    async fn connection(&self, pipeline: &mut Pipeline) -> Result<Arc<Connection>, StoreError> {
        if matches!(pipeline.stage, Stage::New(..))
            && let Stage::New(mut exclusive, begin) =
                mem::replace(&mut pipeline.stage, Stage::Ended)
        {
            exclusive.set_busy(Some(Arc::clone(&self.has_begun)));
            let connection = Arc::clone(exclusive.connection()?);
            pipeline.stage = Stage::Begun(exclusive);
            let response = connection.send_command(begin).await;
            let has_begun = Arc::clone(&self.has_begun);
            pipeline.unread.push(Box::pin(async move {
                let result = response.await?;
                has_begun.store(true, Ordering::Relaxed);
                Ok(result)
            }));
            self.connection.get_or_init(|| connection);
        }
        pipeline.connection().cloned()
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let pipeline = self.pipeline.get_mut();
        if let Stage::Begun(exclusive) = &mut pipeline.stage {
            exclusive.give_up(*self.unfinished.get_mut() != 0 || !pipeline.unread.is_empty());
        }
    }
}

impl Pipeline {
    fn connection(&self) -> Result<&Arc<Connection>, StoreError> {
        match &self.stage {
            Stage::Begun(exclusive) => exclusive.connection(),
            _ => Err(StoreError::fault("the transaction has ended")),
        }
    }

    /// Sends COMMIT or ROLLBACK, and releases the connection for the next transaction.
    async fn end(&mut self, command: &str) -> Result<PendingResult, StoreError> {
        let result = self.connection()?.send_command(command.into()).await;
        if let Stage::Begun(mut exclusive) = mem::replace(&mut self.stage, Stage::Ended) {
            exclusive.set_busy(None);
        }
        Ok(result)
    }
}
