//! The thread that runs changes on SQLite.
//!
//! It runs all changes that have arrived in one transaction, each in a savepoint, and
//! acknowledges them after the one COMMIT, so that they wait for the disk together. A
//! change that arrives alone does not wait for others. A change that fails is undone
//! alone. If a change ends the whole transaction, each change of the group runs again in
//! a transaction of its own.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::Span;

use crate::error::{Error, Result};
use crate::storage::connection::{StoreState, Transaction, Tx};
use crate::storage::error::{Cause, StoreError, WriteError};
use crate::storage::preview_versions::Outdated;
use crate::storage::sqlite::{Connection, Files};

/// The most changes in one transaction.
const MAX_GROUP: usize = 256;
/// The most changes that wait for the thread; further ones wait for a place among them.
const MAX_WAITING: usize = 1024;

/// Sends changes to the thread.
pub struct Writer {
    /// None ends the thread.
    changes: mpsc::Sender<Option<Box<dyn Job>>>,
    thread: Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
}

impl Writer {
    /// Starts the thread, which is the only user of the connection. It outdates the previews
    /// in `state` before it acknowledges a change.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub fn start(
        connection: Connection,
        files: Files,
        state: Arc<StoreState>,
    ) -> std::io::Result<Self> {
        let (changes, waiting) = mpsc::channel(MAX_WAITING);
        let writer = GroupWriter { connection: Arc::new(connection), files, state };
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || writer.run(waiting))?;
        Ok(Self { changes, thread: Mutex::new(Some(thread)) })
    }

    /// Runs a change in a transaction, which it may share with others. It begins by
    /// `until` or not at all. If the caller drops the future before the change begins,
    /// the change is skipped.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn write<T, F>(
        &self,
        change: Arc<F>,
        state: Arc<StoreState>,
        until: Instant,
    ) -> Result<T, WriteError>
    where
        T: Send + 'static,
        F: AsyncFn(&Tx) -> Result<T> + Send + Sync + 'static,
    {
        let (answer, mut answered) = oneshot::channel();
        let is_taken = Arc::new(AtomicBool::new(false));
        let job = Change {
            change,
            state,
            span: Span::current(),
            is_taken: Arc::clone(&is_taken),
            result: None,
            cause: None,
            outdated: Outdated::default(),
            answer,
        };
        match timeout_at(until, self.changes.send(Some(Box::new(job)))).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(StoreError::closed().into()),
            Err(_) => return Err(busy().into()),
        }
        let answered = match timeout_at(until, &mut answered).await {
            Ok(answered) => answered,
            // Taken here, it never begins.
            Err(_) if !is_taken.swap(true, Ordering::SeqCst) => return Err(busy().into()),
            Err(_) => answered.await,
        };
        match answered {
            Ok(Ok(result)) => result,
            // As if the change ran on the caller's thread.
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(StoreError::closed().into()),
        }
    }

    /// Ends the thread after the changes that wait, and closes its connection.
    ///
    /// # Errors
    /// If SQLite reports one on closing, or the thread has panicked.
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

fn busy() -> StoreError {
    StoreError::new(Cause::Conflict, "the write lock was not free in time")
}

/// A change, without its types.
trait Job: Send {
    /// Whether the caller has gone.
    fn is_abandoned(&self) -> bool;

    /// Runs the change; returns whether its writes are to be kept.
    fn run(&mut self, connection: &Arc<Connection>) -> bool;

    /// The previews that its last run outdates.
    fn outdated(&self) -> &Outdated;

    /// Sends the result to the caller.
    fn answer(self: Box<Self>, committed: Result<(), WriteError>);
}

struct Change<T, F> {
    change: Arc<F>,
    state: Arc<StoreState>,
    span: Span,
    /// Set when the change begins or when its caller stops waiting, whichever is first.
    is_taken: Arc<AtomicBool>,
    /// Of the last run: its result or its panic.
    result: Option<std::thread::Result<Result<T>>>,
    cause: Option<Cause>,
    outdated: Outdated,
    answer: oneshot::Sender<std::thread::Result<Result<T, WriteError>>>,
}

impl<T, F> Job for Change<T, F>
where
    T: Send,
    F: AsyncFn(&Tx) -> Result<T> + Send + Sync,
{
    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run(&mut self, connection: &Arc<Connection>) -> bool {
        if self.is_taken.swap(true, Ordering::SeqCst) && self.result.is_none() {
            return false;
        }
        let transaction = Transaction::Sqlite(Arc::clone(connection));
        let tx = Tx::new(transaction, Arc::clone(&self.state));
        let change = &self.change;
        let run = || {
            // Statements run when they are polled, so the future is ready at the first
            // poll, unless the change waits for something that no transaction should.
            let mut change = pin!(change(&tx));
            match change.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(result) => result,
                Poll::Pending => Err(Error::internal(
                    "a change waited for something else than its own transaction",
                )),
            }
        };
        let result = self.span.in_scope(|| catch_unwind(AssertUnwindSafe(run)));
        let is_kept = matches!(result, Ok(Ok(_)));
        self.result = Some(result);
        self.cause = tx.cause();
        self.outdated = tx.take_outdated();
        is_kept
    }

    fn outdated(&self) -> &Outdated {
        &self.outdated
    }

    fn answer(self: Box<Self>, committed: Result<(), WriteError>) {
        let cause = self.cause;
        let answer = match (committed, self.result) {
            (_, Some(Err(panic))) => Err(panic),
            (Ok(()), Some(Ok(result))) => {
                Ok(result.map_err(|error| WriteError::NotDone(error, cause)))
            }
            (Err(error), _) => Ok(Err(error)),
            // It did not run: its caller has gone.
            (Ok(()), None) => return,
        };
        if self.answer.send(answer).is_err() {
            tracing::debug!("the caller of a change has gone");
        }
    }
}

/// What the thread works with.
struct GroupWriter {
    connection: Arc<Connection>,
    files: Files,
    state: Arc<StoreState>,
}

/// Why a group was not committed, or is not known to be.
enum GroupError {
    /// Its transaction did not begin.
    NotBegun(StoreError),
    /// All its changes are undone: each may run again.
    Undone(StoreError),
    /// It was committed into files that the next start does not open.
    Moved(StoreError),
}

impl GroupError {
    /// The error of each of its changes.
    fn of_change(&self) -> WriteError {
        match self {
            GroupError::NotBegun(error) => error.clone().into(),
            GroupError::Undone(error) | GroupError::Moved(error) => {
                WriteError::Unknown(error.clone())
            }
        }
    }
}

impl GroupWriter {
    /// Runs changes until it receives the end or there are no more senders.
    fn run(&self, mut waiting: mpsc::Receiver<Option<Box<dyn Job>>>) -> Result<(), StoreError> {
        let mut group = Vec::with_capacity(MAX_GROUP);
        loop {
            let mut next = waiting.blocking_recv().flatten();
            let mut has_ended = next.is_none();
            while let Some(job) = next.take() {
                group.push(job);
                if group.len() == MAX_GROUP {
                    break;
                }
                match waiting.try_recv() {
                    Ok(Some(job)) => next = Some(job),
                    Ok(None) => has_ended = true,
                    Err(_) => {}
                }
            }
            self.write(&mut group);
            if has_ended {
                return self.connection.close();
            }
        }
    }

    /// Runs a group of changes and answers them all.
    fn write(&self, group: &mut Vec<Box<dyn Job>>) {
        group.retain(|job| !job.is_abandoned());
        if group.is_empty() {
            return;
        }
        let written = self.transaction(group);
        // After a failure as well: the commit may have been made.
        self.state.previews.outdate(group.iter().map(|job| job.outdated()));
        match written {
            Ok(()) => group.drain(..).for_each(|job| job.answer(Ok(()))),
            // The change that failed is not known.
            Err(GroupError::Undone(_)) if group.len() > 1 => {
                for job in group.drain(..) {
                    self.write(&mut vec![job]);
                }
            }
            Err(error) => group.drain(..).for_each(|job| job.answer(Err(error.of_change()))),
        }
    }

    /// Runs them in one transaction.
    fn transaction(&self, group: &mut [Box<dyn Job>]) -> Result<(), GroupError> {
        let connection = &self.connection;
        self.files.check().and_then(|()| begin(connection)).map_err(GroupError::NotBegun)?;
        let run = match group {
            [alone] => run_alone(connection, alone.as_mut()),
            many => many.iter_mut().try_for_each(|job| run_in_savepoint(connection, job.as_mut())),
        };
        let committed = run.and_then(|()| {
            // A change that failed alone has left no transaction.
            if connection.is_autocommit()? { Ok(()) } else { connection.command("COMMIT") }
        });
        if let Err(error) = committed {
            if let Err(error) = roll_back(connection) {
                tracing::error!(%error, "a rollback failed: changes are rejected until it succeeds");
            }
            return Err(GroupError::Undone(error));
        }
        self.files.check().map_err(GroupError::Moved)
    }
}

/// Begins a transaction, after a rollback of the one before if that has failed.
fn begin(connection: &Connection) -> Result<(), StoreError> {
    roll_back(connection).map_err(|error| {
        tracing::error!(%error, "a rollback fails again: a change is rejected");
        StoreError::away("a transaction before this one cannot be rolled back")
    })?;
    connection.command("BEGIN IMMEDIATE")
}

/// Runs a change that has the transaction for itself.
fn run_alone(connection: &Arc<Connection>, job: &mut dyn Job) -> Result<(), StoreError> {
    // Checked again: the wait for the lock may have been long.
    if job.is_abandoned() {
        return roll_back(connection);
    }
    let is_kept = job.run(connection);
    if !is_kept {
        roll_back(connection)
    } else if connection.is_autocommit()? {
        Err(transaction_ended())
    } else {
        Ok(())
    }
}

/// Runs a change in a savepoint.
fn run_in_savepoint(connection: &Arc<Connection>, job: &mut dyn Job) -> Result<(), StoreError> {
    // Checked again: the wait for the lock may have been long.
    if job.is_abandoned() {
        return Ok(());
    }
    connection.command("SAVEPOINT change")?;
    let is_kept = job.run(connection);
    // Some failures, such as a full disk, end the transaction.
    if connection.is_autocommit()? {
        return Err(transaction_ended());
    }
    if !is_kept {
        connection.command("ROLLBACK TO change")?;
    }
    connection.command("RELEASE change")
}

fn transaction_ended() -> StoreError {
    StoreError::fault("SQLite has ended the transaction")
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
