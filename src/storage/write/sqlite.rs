//! The thread that runs changes on SQLite.
//!
//! It takes all changes that have arrived and runs them in one transaction, so that they wait for
//! the disk together. A change that arrives alone does not wait for others.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout_at;

use super::change::Job;
use super::group::{self, Session};
use crate::storage::cache_versions::CacheVersions;
use crate::storage::connection::{StoreState, Transaction};
use crate::storage::error::{Cause, StoreError, TransactionError};
use crate::storage::sqlite::{Connection, Files};

/// The most changes in one transaction.
const MAX_GROUP: usize = 256;
/// The most changes that wait for the thread; further ones wait for a place in the queue.
const MAX_WAITING: usize = 1024;

/// The pause between two checks for changes of other processes: a third of the time for which
/// cached values are used after a check.
const CHECK_INTERVAL: Duration = Duration::from_millis(300);

/// Sends changes to the thread.
pub struct Writer {
    /// `None` ends the thread.
    changes: mpsc::Sender<Option<Box<dyn Job>>>,
    thread: Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
    connection: Arc<Connection>,
}

impl Writer {
    /// Starts the thread, which runs all changes on the connection. It outdates cached
    /// values in `state` before it acknowledges a change.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub fn start(
        connection: Connection,
        files: Files,
        state: Arc<StoreState>,
    ) -> std::io::Result<Self> {
        let (changes, waiting) = mpsc::channel(MAX_WAITING);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let connection = Arc::new(connection);
        let session = SqliteSession {
            connection: Arc::clone(&connection),
            files,
            next_check: Instant::now(),
            data_version: None,
        };
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || runtime.block_on(session.run(waiting, state)))?;
        Ok(Self { changes, thread: Mutex::new(Some(thread)), connection })
    }

    /// The connection of the thread.
    pub(in crate::storage) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sends a change when the queue has a place for it.
    ///
    /// # Errors
    /// If the store is closed.
    pub(super) async fn send(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        self.changes.send(Some(job)).await.map_err(|_| StoreError::closed())
    }

    /// Ends the thread after the waiting changes, and closes its connection.
    ///
    /// # Errors
    /// If SQLite reports an error on closing, or the thread has panicked.
    pub async fn close(&self) -> Result<(), StoreError> {
        let Some(thread) = self.thread.lock().await.take() else { return Ok(()) };
        if self.changes.send(None).await.is_err() {
            tracing::debug!("the thread that writes has ended before the store closes");
        }
        let ended = tokio::task::spawn_blocking(move || thread.join()).await;
        match ended {
            Ok(Ok(closed)) => closed,
            Ok(Err(_)) => Err(StoreError::fault("the thread that writes has panicked")),
            Err(error) => Err(StoreError::fault(error.to_string())),
        }
    }
}

/// The error of a change that did not begin in time.
pub(super) fn busy() -> StoreError {
    StoreError::new(Cause::Conflict, "the write lock was not free in time")
}

/// The state of the thread.
struct SqliteSession {
    connection: Arc<Connection>,
    files: Files,
    next_check: Instant,
    /// The connection's [`data_version`](Connection::data_version) at the last check.
    data_version: Option<i64>,
}

impl SqliteSession {
    /// Runs changes until it receives `None` or all senders are dropped.
    async fn run(
        mut self,
        mut waiting: mpsc::Receiver<Option<Box<dyn Job>>>,
        state: Arc<StoreState>,
    ) -> Result<(), StoreError> {
        let mut received = Vec::with_capacity(MAX_GROUP);
        loop {
            self.check_if_due(&state.cache_versions);
            let arrived = waiting.recv_many(&mut received, MAX_GROUP);
            let Ok(number) = timeout_at(self.next_check.into(), arrived).await else { continue };
            let group: Vec<_> = received.drain(..).flatten().collect();
            let has_ended = group.len() < number || number == 0;
            group::run(&mut self, &state, group).await;
            if has_ended {
                return self.connection.close();
            }
        }
    }

    /// Checks for changes of other processes, which outdate all cached values, unless the last
    /// check is recent.
    fn check_if_due(&mut self, versions: &CacheVersions) {
        let begun = Instant::now();
        if begun < self.next_check {
            return;
        }
        self.next_check = begun + CHECK_INTERVAL;
        match self.connection.data_version() {
            Ok(found) => {
                versions.record_check(begun, self.data_version.replace(found) != Some(found))
            }
            Err(error) => {
                tracing::warn!(%error, "the file cannot be read: caches are not used until it can");
            }
        }
    }
}

impl Session for SqliteSession {
    async fn begin(&mut self) -> Result<Transaction, StoreError> {
        self.files.check()?;
        // If the rollback of the previous transaction has failed, it is repeated now.
        roll_back(&self.connection).map_err(|error| {
            tracing::error!(%error, "a rollback fails again: a change is rejected");
            StoreError::away("a transaction before this one cannot be rolled back")
        })?;
        self.connection.command("BEGIN IMMEDIATE")?;
        Ok(Transaction::Sqlite(Arc::clone(&self.connection)))
    }

    async fn commit(&mut self, transaction: &Transaction) -> Result<(), TransactionError> {
        if let Err(error) = self.connection.command("COMMIT") {
            // If the rollback fails too, this is logged, and the next transaction repeats it.
            let (Ok(()) | Err(_)) = self.roll_back(transaction).await;
            return Err(TransactionError::rolled_back_or_unknown(error));
        }
        // If this fails, the commit is in files that the next start does not open.
        self.files.check().map_err(TransactionError::unknown)
    }

    async fn roll_back(&mut self, _: &Transaction) -> Result<(), StoreError> {
        roll_back(&self.connection).inspect_err(|error| {
            tracing::error!(%error, "a rollback failed: changes are rejected until it succeeds");
        })
    }
}

/// Rolls back the open transaction, if there is one.
fn roll_back(connection: &Connection) -> Result<(), StoreError> {
    match connection.is_autocommit()? {
        true => Ok(()),
        false => connection.command("ROLLBACK"),
    }
}

#[cfg(test)]
mod tests;
