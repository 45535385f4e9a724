//! The thread that writes.
//!
//! Whatever changes have come together while it was busy it makes in one
//! transaction, a savepoint each, and acknowledges them after the one COMMIT: the
//! wait for the disk is shared. A lone change waits for nobody. A change that
//! fails is undone by itself; one that takes the whole transaction with it is
//! found out, and each of the others is made again alone.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

use sea_orm::{DbErr, sqlx};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::Span;

use super::connection::Connection;
use super::errors::{busy, closed};
use super::place::Place;
use crate::error::{Error, Result};
use crate::storage::error::to_error;
use crate::storage::failure::unconnected;
use crate::storage::tx::{Transaction, Tx, Watching};
use crate::storage::write::Refused;

type Outcome<T, E> = std::result::Result<T, E>;

/// Changes in one transaction at the most: what they all write is written once, and they
/// wait for the disk together.
const MOST_TOGETHER: usize = 256;
/// Changes that may wait; more wait to be let in.
const MOST_WAITING: usize = 1024;

/// The way to the thread that writes.
pub struct Writer {
    changes: mpsc::Sender<Box<dyn Job>>,
    thread: Mutex<Option<JoinHandle<Outcome<(), DbErr>>>>,
}

impl Writer {
    /// Starts the thread, which has the connection for itself. It counts `commits`
    /// before anybody is told of one.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn start(
        connection: Connection,
        place: Place,
        commits: Arc<AtomicU64>,
    ) -> std::io::Result<Self> {
        let (changes, waiting) = mpsc::channel(MOST_WAITING);
        let on = On { connection: Arc::new(connection), place, commits };
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || write(&on, waiting))?;
        Ok(Self { changes, thread: Mutex::new(Some(thread)) })
    }

    /// Makes a change in a transaction, which it may share with others. Whoever
    /// goes away before it has begun has not asked. It must have begun by `until`.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn write<T, F>(
        &self,
        change: Arc<F>,
        watching: Watching,
        until: Instant,
    ) -> Outcome<T, Refused>
    where
        T: Send + 'static,
        F: AsyncFn(&Tx) -> Result<T> + Send + Sync + 'static,
    {
        let (answer, mut answered) = oneshot::channel();
        let is_taken = Arc::new(AtomicBool::new(false));
        let span = Span::current();
        let taken = Arc::clone(&is_taken);
        let job = Change { change, watching, span, is_taken: taken, outcome: None, answer };
        match timeout_at(until, self.changes.send(Box::new(job))).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Refused::Change(to_error(closed()))),
            Err(_) => return Err(Refused::Change(to_error(busy()))),
        }
        let answered = match timeout_at(until, &mut answered).await {
            Ok(answered) => answered,
            // Taken here, it never begins.
            Err(_) if !is_taken.swap(true, Ordering::SeqCst) => {
                return Err(Refused::Change(to_error(busy())));
            }
            Err(_) => answered.await,
        };
        match answered {
            Ok(Answer::Outcome(outcome)) => outcome,
            // Where it would be without a thread in between.
            Ok(Answer::Panic(panic)) => resume_unwind(panic),
            Err(_) => Err(Refused::Change(to_error(closed()))),
        }
    }

    /// Ends the thread after what waits, and closes its connection.
    ///
    /// # Errors
    /// If that does not close in order.
    pub async fn close(&self) -> Outcome<(), DbErr> {
        let Some(thread) = self.thread.lock().await.take() else { return Ok(()) };
        if self.changes.send(Box::new(End)).await.is_err() {
            tracing::debug!("the thread that writes has ended before");
        }
        let ended = tokio::task::spawn_blocking(move || thread.join()).await;
        match ended {
            Ok(Ok(closed)) => closed,
            Ok(Err(_)) => Err(DbErr::Custom("the thread that writes has panicked".to_owned())),
            Err(error) => Err(DbErr::Custom(error.to_string())),
        }
    }
}

/// What the thread writes on.
struct On {
    connection: Arc<Connection>,
    place: Place,
    commits: Arc<AtomicU64>,
}

/// A change, without its types.
trait Job: Send {
    /// Whether whoever asked has gone.
    fn is_abandoned(&self) -> bool {
        false
    }

    /// Whether it asks for the end of the thread.
    fn is_end(&self) -> bool {
        false
    }

    /// Makes the change; answers whether it shall stay.
    fn run(&mut self, connection: &Arc<Connection>) -> bool;

    /// Tells whoever asked what came of it.
    fn answer(self: Box<Self>, committed: Outcome<(), Refused>);
}

/// Asks for the end.
struct End;

impl Job for End {
    fn is_end(&self) -> bool {
        true
    }

    fn run(&mut self, _: &Arc<Connection>) -> bool {
        true
    }

    fn answer(self: Box<Self>, _: Outcome<(), Refused>) {}
}

struct Change<T, F> {
    change: Arc<F>,
    watching: Watching,
    span: Span,
    /// Whether the change has begun, or the one who asked does not want it any more:
    /// the first to set it decides.
    is_taken: Arc<AtomicBool>,
    outcome: Option<std::thread::Result<Result<T>>>,
    answer: oneshot::Sender<Answer<T>>,
}

/// What came of a change.
enum Answer<T> {
    Outcome(Outcome<T, Refused>),
    Panic(Box<dyn Any + Send>),
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
        if self.is_taken.swap(true, Ordering::SeqCst) && self.outcome.is_none() {
            // Nobody waits for it.
            return false;
        }
        let tx = Tx::new(Transaction::Sqlite(Arc::clone(connection)), self.watching.clone());
        let change = &self.change;
        let once = || {
            // What a change waits for is done when it is asked for: it is ready at
            // the first look, or waits for something that no transaction should.
            let mut change = pin!(change(&tx));
            match change.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => Err(Error::internal(
                    "a change waited for something else than its own transaction",
                )),
            }
        };
        let outcome = self.span.in_scope(|| catch_unwind(AssertUnwindSafe(once)));
        let stays = matches!(outcome, Ok(Ok(_)));
        self.outcome = Some(outcome);
        stays
    }

    fn answer(self: Box<Self>, committed: Outcome<(), Refused>) {
        let answer = match (committed, self.outcome) {
            (_, Some(Err(panic))) => Answer::Panic(panic),
            (Ok(()), Some(Ok(outcome))) => Answer::Outcome(outcome.map_err(Refused::Change)),
            (Err(refused), _) => Answer::Outcome(Err(refused)),
            // Nobody waits for one that was not looked at.
            (Ok(()), None) => return,
        };
        if self.answer.send(answer).is_err() {
            tracing::debug!("nobody waits for a change any more");
        }
    }
}

/// The thread: until it is told to end, or nobody can ask any more.
fn write(on: &On, mut waiting: mpsc::Receiver<Box<dyn Job>>) -> Outcome<(), DbErr> {
    let mut group = Vec::with_capacity(MOST_TOGETHER);
    loop {
        group.extend(waiting.blocking_recv());
        while group.len() < MOST_TOGETHER
            && let Ok(next) = waiting.try_recv()
        {
            group.push(next);
        }
        let at_the_end = group.is_empty() || group.iter().any(|job| job.is_end());
        make(on, &mut group);
        if at_the_end {
            return on.connection.close();
        }
    }
}

/// Makes a group of changes and answers them all.
fn make(on: &On, group: &mut Vec<Box<dyn Job>>) {
    group.retain(|job| !job.is_abandoned() && !job.is_end());
    if group.is_empty() {
        return;
    }
    let made = transaction(on, group);
    // Also where it failed: it may not have failed altogether.
    on.commits.fetch_add(1, Ordering::SeqCst);
    match made {
        Ok(()) => group.drain(..).for_each(|job| job.answer(Ok(()))),
        // Which of them it was is not known: each for itself, then.
        Err(Unmade::Undone(_)) if group.len() > 1 => {
            for job in group.drain(..) {
                make(on, &mut vec![job]);
            }
        }
        Err(unmade) => group.drain(..).for_each(|job| job.answer(Err(unmade.refused()))),
    }
}

/// Why a group of changes was not made, or cannot be said to be.
enum Unmade {
    /// There was no transaction for it.
    Begin(DbErr),
    /// It was undone, for the commit failed or one of them took all with it.
    Undone(DbErr),
    /// It was committed, into files that are not where the next start looks for them.
    Elsewhere(DbErr),
}

impl Unmade {
    fn refused(&self) -> Refused {
        match self {
            Unmade::Begin(error) => Refused::Change(to_error(error.clone())),
            Unmade::Undone(error) | Unmade::Elsewhere(error) => Refused::Commit(error.clone()),
        }
    }
}

/// One transaction around all of them.
fn transaction(on: &On, group: &mut [Box<dyn Job>]) -> Outcome<(), Unmade> {
    let connection = &on.connection;
    on.place.check().and_then(|()| begin(connection)).map_err(Unmade::Begin)?;
    let made = match group {
        [alone] => by_itself(connection, alone.as_mut()),
        many => many.iter_mut().try_for_each(|job| beside_others(connection, job.as_mut())),
    };
    let committed = made.and_then(|()| {
        // Nothing is left where a lone change has failed.
        if connection.is_autocommit()? { Ok(()) } else { connection.command("COMMIT") }
    });
    committed.map_err(|error| {
        if let Err(error) = roll_back(connection) {
            // `begin` tries again, and makes no change before it succeeds.
            tracing::error!(%error, "a transaction cannot be rolled back: no change is made until it is");
        }
        Unmade::Undone(error)
    })?;
    on.place.check().map_err(Unmade::Elsewhere)
}

/// Begins a transaction, after whatever is left of the one before was taken back.
fn begin(connection: &Connection) -> Outcome<(), DbErr> {
    roll_back(connection).map_err(|error| {
        tracing::error!(%error, "a transaction still cannot be rolled back: a change is refused");
        unconnected(sqlx::Error::WorkerCrashed)
    })?;
    connection.command("BEGIN IMMEDIATE")
}

/// A change that has the transaction for itself.
fn by_itself(connection: &Arc<Connection>, job: &mut dyn Job) -> Outcome<(), DbErr> {
    let stays = job.run(connection);
    if !stays {
        roll_back(connection)
    } else if connection.is_autocommit()? {
        Err(lost())
    } else {
        Ok(())
    }
}

/// A change that has a savepoint for itself.
fn beside_others(connection: &Arc<Connection>, job: &mut dyn Job) -> Outcome<(), DbErr> {
    // Looked at last: waiting for the lock may have taken long.
    if job.is_abandoned() {
        return Ok(());
    }
    connection.command("SAVEPOINT change")?;
    let stays = job.run(connection);
    // What is wrong with one may end all: a full disk, for one.
    if connection.is_autocommit()? {
        return Err(lost());
    }
    if !stays {
        connection.command("ROLLBACK TO change")?;
    }
    connection.command("RELEASE change")
}

fn lost() -> DbErr {
    DbErr::Custom("SQLite has ended the transaction".to_owned())
}

/// Takes back what is open, if SQLite has not done so by itself.
fn roll_back(connection: &Connection) -> Outcome<(), DbErr> {
    match connection.is_autocommit()? {
        true => Ok(()),
        false => connection.command("ROLLBACK"),
    }
}

#[cfg(test)]
mod tests;
