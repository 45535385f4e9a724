//! The connections for statements that may take long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::{DbErr, QueryResult, Statement, sqlx};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::Connection;
use super::errors::closed;
use crate::storage::failure::unconnected;

/// Connections of which each runs one statement at a time, on a thread that is there to
/// be waited for. Statements wait for one in the order in which they came. A statement
/// whose caller has gone is interrupted.
pub(super) struct Lists {
    connections: Box<[Connection]>,
    /// The places of those that nobody uses: as many as `free` has permits.
    idle: Mutex<Vec<usize>>,
    free: Arc<Semaphore>,
    patience: Duration,
}

impl Lists {
    /// Lends these connections, for which a statement waits no longer than `patience`.
    pub(super) fn new(connections: Box<[Connection]>, patience: Duration) -> Arc<Self> {
        let idle = Mutex::new((0..connections.len()).collect());
        let free = Arc::new(Semaphore::new(connections.len()));
        Arc::new(Self { connections, idle, free, patience })
    }

    /// All of them.
    pub(super) fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.connections.iter()
    }

    /// Runs a statement for at most `most` of its rows.
    pub(super) async fn query(
        self: &Arc<Self>,
        statement: Statement,
        most: usize,
    ) -> Result<Vec<QueryResult>, DbErr> {
        let lent = self.lend().await?;
        let wanted = Wanted(Arc::new(AtomicBool::new(false)));
        let unwanted = Arc::clone(&wanted.0);
        let run = move || {
            let rows = lent.connection()?.query_unless(&unwanted, &statement, most);
            if unwanted.load(Ordering::Relaxed) {
                tracing::debug!("a list that nobody waits for was interrupted");
            }
            rows
        };
        let done = tokio::task::spawn_blocking(run).await;
        done.unwrap_or_else(|error| Err(DbErr::Custom(error.to_string())))
    }

    async fn lend(self: &Arc<Self>) -> Result<Lent, DbErr> {
        let permit = tokio::time::timeout(self.patience, Arc::clone(&self.free).acquire_owned());
        let permit = permit.await.map_err(|_| unconnected(sqlx::Error::PoolTimedOut))?;
        let permit = permit.map_err(|_| closed())?;
        let place = self.places().pop();
        Ok(Lent { of: Arc::clone(self), place, _permit: permit })
    }

    fn places(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is given back when this is dropped.
struct Lent {
    of: Arc<Lists>,
    place: Option<usize>,
    /// Dropped last: the place is back before the next one looks for it.
    _permit: OwnedSemaphorePermit,
}

impl Lent {
    fn connection(&self) -> Result<&Connection, DbErr> {
        let connection = self.place.and_then(|place| self.of.connections.get(place));
        connection.ok_or_else(closed)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.of.places().extend(self.place.take());
    }
}

/// The caller of a statement holds this; dropping it interrupts the statement.
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    use futures_util::poll;
    use sea_orm::DbBackend;

    /// No statement takes longer unless it hangs.
    const HANG: Duration = Duration::from_secs(60);

    /// Counts for days.
    const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                           SELECT count(*) AS found FROM n";

    fn statement(sql: &str) -> Statement {
        Statement::from_string(DbBackend::Sqlite, sql)
    }

    fn lists(number: usize) -> (Arc<Lists>, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("guestlist.db");
        std::fs::File::create_new(&path).unwrap();
        let open = |_| Connection::open_to_read(&path, Duration::ZERO).unwrap();
        (Lists::new((0..number).map(open).collect(), HANG), directory)
    }

    /// Asks, and goes away when the statement has begun to run or to wait.
    async fn abandon(lists: &Arc<Lists>) {
        let mut asked = pin!(lists.query(statement(ENDLESS), 1));
        assert!(poll!(asked.as_mut()).is_pending());
        while lists.free.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn p42_what_nobody_waits_for_is_interrupted_and_its_connection_serves_on() {
        let (lists, _directory) = lists(2);
        for _ in 0..20 {
            // Two at a time, so that no connection is free but for the interruption.
            tokio::join!(abandon(&lists), abandon(&lists));
        }
        let answered = lists.query(statement("SELECT 7 AS found"), 1);
        let rows = tokio::time::timeout(HANG, answered).await.expect("it is not held up").unwrap();
        assert_eq!(rows[0].try_get::<i64>("", "found").unwrap(), 7);
        // All of them are given back.
        let all = lists.free.acquire_many(2);
        drop(tokio::time::timeout(HANG, all).await.expect("they are back").unwrap());
        assert_eq!(lists.places().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn p42_to_wait_for_a_connection_has_an_end() {
        let (lists, _directory) = lists(1);
        let _lent = lists.lend().await.unwrap();
        let error = lists.query(statement("SELECT 7 AS found"), 1).await.unwrap_err();
        assert!(error.to_string().contains("timed out"), "{error}");
    }
}
