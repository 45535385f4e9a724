//! The connections for statements that may take long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::Connection;
use crate::storage::error::StoreError;
use crate::storage::statement::{Statement, StatementResult};

/// Connections that run one statement each at a time, on a blocking thread. Statements get a
/// connection in the order of their requests. A statement is interrupted when its caller drops the
/// future.
pub(super) struct Lists {
    connections: Box<[Connection]>,
    /// The indexes of the idle connections; `free` has as many permits.
    idle: Mutex<Vec<usize>>,
    free: Arc<Semaphore>,
    max_wait: Duration,
}

impl Lists {
    /// A statement waits for one of these connections for at most `max_wait`.
    pub(super) fn new(connections: Vec<Connection>, max_wait: Duration) -> Arc<Self> {
        let idle = Mutex::new((0..connections.len()).collect());
        let free = Arc::new(Semaphore::new(connections.len()));
        Arc::new(Self { connections: connections.into(), idle, free, max_wait })
    }

    /// All connections, idle or in use.
    pub(super) fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.connections.iter()
    }

    /// Runs a statement.
    pub(super) async fn run(
        self: &Arc<Self>,
        statement: Statement,
    ) -> Result<StatementResult, StoreError> {
        let lent = self.lend().await?;
        let guard = CancelOnDrop(Arc::new(AtomicBool::new(false)));
        let cancelled = Arc::clone(&guard.0);
        let run = move || {
            let result = lent.connection()?.run_unless(&cancelled, &statement);
            if cancelled.load(Ordering::Relaxed) {
                tracing::debug!("a list was interrupted: its caller has gone");
            }
            result
        };
        let done = tokio::task::spawn_blocking(run).await;
        done.unwrap_or_else(|error| Err(StoreError::fault(error.to_string())))
    }

    async fn lend(self: &Arc<Self>) -> Result<Lent, StoreError> {
        let permit = tokio::time::timeout(self.max_wait, Arc::clone(&self.free).acquire_owned());
        let permit = permit.await.map_err(|_| StoreError::timed_out())?;
        let permit = permit.map_err(|_| StoreError::closed())?;
        let place = self.places().pop();
        Ok(Lent { of: Arc::clone(self), place, _permit: permit })
    }

    fn places(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is in use. Dropping this makes it idle again.
struct Lent {
    of: Arc<Lists>,
    place: Option<usize>,
    /// Dropped last: the index is back before another statement gets the permit.
    _permit: OwnedSemaphorePermit,
}

impl Lent {
    fn connection(&self) -> Result<&Connection, StoreError> {
        let connection = self.place.and_then(|place| self.of.connections.get(place));
        connection.ok_or_else(StoreError::closed)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.of.places().extend(self.place.take());
    }
}

/// Interrupts a statement when it is dropped, together with the caller's future.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    use futures_util::poll;

    /// A statement that takes longer than this hangs.
    const HANG: Duration = Duration::from_secs(60);

    /// A statement that runs for days.
    const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                           SELECT count(*) AS found FROM n";

    fn statement(sql: &'static str) -> Statement {
        Statement::new(sql, Vec::new())
    }

    fn lists(number: usize) -> (Arc<Lists>, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("guestlist.db");
        std::fs::File::create_new(&path).unwrap();
        let open = |_| Connection::open_to_read(&path, Duration::ZERO).unwrap();
        (Lists::new((0..number).map(open).collect(), HANG), directory)
    }

    /// Starts an endless statement, and drops its future when no connection is free.
    async fn abandon(lists: &Arc<Lists>) {
        let mut running = pin!(lists.run(statement(ENDLESS)));
        assert!(poll!(running.as_mut()).is_pending());
        while lists.free.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn p42_a_cancelled_list_is_interrupted_and_frees_its_connection() {
        let (lists, _directory) = lists(2);
        for _ in 0..20 {
            // Two at a time, so that a connection becomes free only by an interruption.
            tokio::join!(abandon(&lists), abandon(&lists));
        }
        let answered = lists.run(statement("SELECT 7 AS found"));
        let mut found = tokio::time::timeout(HANG, answered).await.expect("it finishes").unwrap();
        assert_eq!(found.rows[0].value::<i64>().unwrap(), 7);
        // All connections are returned.
        let all = lists.free.acquire_many(2);
        drop(tokio::time::timeout(HANG, all).await.expect("all connections are returned").unwrap());
        assert_eq!(lists.places().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn p42_the_wait_for_a_connection_times_out() {
        let (lists, _directory) = lists(1);
        let _lent = lists.lend().await.unwrap();
        let error = lists.run(statement("SELECT 7 AS found")).await.unwrap_err();
        assert!(error.to_string().contains("timed out"), "{error}");
    }
}
