//! One connection, on which statements run where they are asked for.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::config::DbConfig;
use rusqlite::{Connection as Rusqlite, OpenFlags};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, ProxyExecResult, QueryResult, Statement,
};

use super::errors::{closed, failed};
use super::values::{Columns, bind};

/// Statements that stay prepared; the service has fewer.
const PREPARED: usize = 256;

/// Memory for the pages of a transaction, in KiB.
const WRITTEN_KIB: i64 = 32 * 1024;

/// Pages that gather in the log before they go into the file (16 MiB): a page that
/// changes often goes there once.
const CHECKPOINT_PAGES: i64 = 4096;

/// The size to which the log is cut when it begins anew: those pages. One large change,
/// or a long read beside many small ones, makes it larger for a time.
const LOG_BYTES: i64 = CHECKPOINT_PAGES * 4096;

/// Steps of SQLite's virtual machine between two looks at whether a statement is still
/// wanted: some tens of microseconds.
const STEPS: i32 = 1000;

/// As much of the file as is mapped at most (1 TiB); what SQLite was built for may be
/// less (`.cargo/config.toml`).
const MAPPED_BYTES: i64 = 1 << 40;

/// A connection to a SQLite file. What it is asked it does at once, on the thread
/// that asks: statements that take long belong elsewhere.
#[derive(Debug)]
pub struct Connection(Mutex<Option<Rusqlite>>);

impl Connection {
    /// Opens a file for reading and writing. `busy_timeout` is how long it waits
    /// for another process's lock.
    ///
    /// # Errors
    /// If it cannot be opened or is no SQLite file.
    pub fn open(path: &Path, busy_timeout: Duration) -> Result<Self, DbErr> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = opened(path, flags, busy_timeout).map_err(failed)?;
        let set = |name, value: &str| connection.pragma_update(None, name, value);
        set("journal_mode", "WAL").map_err(failed)?;
        set("synchronous", "FULL").map_err(failed)?;
        set("foreign_keys", "ON").map_err(failed)?;
        // A group of changes fits, and no page of it is written twice.
        connection.pragma_update(None, "cache_size", -WRITTEN_KIB).map_err(failed)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(failed)?;
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES).map_err(failed)?;
        // Until something is read there is no log beside a new file.
        connection
            .query_row("SELECT count(*) FROM sqlite_master", (), |_| Ok(()))
            .map_err(failed)?;
        Ok(Self(Mutex::new(Some(connection))))
    }

    /// Opens a file for reading alone.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub(super) fn open_to_read(path: &Path, busy_timeout: Duration) -> Result<Self, DbErr> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Ok(Self(Mutex::new(Some(opened(path, flags, busy_timeout).map_err(failed)?))))
    }

    /// Opens a file for reading many pages at a time: they are looked at where the system
    /// has them. After every commit SQLite maps the file anew, which for a page or two
    /// costs more than to copy them.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub(super) fn open_mapped(path: &Path, busy_timeout: Duration) -> Result<Self, DbErr> {
        let connection = Self::open_to_read(path, busy_timeout)?;
        let set = |mapped: &Rusqlite| mapped.pragma_update(None, "mmap_size", MAPPED_BYTES);
        connection.lock().as_ref().map_or(Ok(()), set).map_err(failed)?;
        Ok(connection)
    }

    /// Closes it, after what runs on it.
    ///
    /// # Errors
    /// If SQLite cannot end it in order.
    pub fn close(&self) -> Result<(), DbErr> {
        match self.lock().take() {
            Some(connection) => connection.close().map_err(|(_, error)| failed(error)),
            None => Ok(()),
        }
    }

    /// Whether nobody uses it now.
    pub(super) fn is_idle(&self) -> bool {
        self.0.try_lock().is_ok()
    }

    /// Whether no transaction is open on it.
    pub(super) fn is_autocommit(&self) -> Result<bool, DbErr> {
        self.lock().as_ref().map(Rusqlite::is_autocommit).ok_or_else(closed)
    }

    /// Runs a statement of transactions' own, such as COMMIT.
    pub(super) fn command(&self, sql: &'static str) -> Result<(), DbErr> {
        let lock = self.lock();
        let connection = lock.as_ref().ok_or_else(closed)?;
        connection
            .prepare_cached(sql)
            .and_then(|mut command| command.raw_execute())
            .map_err(failed)?;
        Ok(())
    }

    /// Runs statements without values.
    pub(super) fn run(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let lock = self.lock();
        let connection = lock.as_ref().ok_or_else(closed)?;
        connection.execute_batch(sql).map_err(failed)?;
        Ok(changed(connection.changes()))
    }

    /// Runs a statement that answers no rows.
    pub(super) fn execute(&self, statement: &Statement) -> Result<ExecResult, DbErr> {
        let lock = self.lock();
        let connection = lock.as_ref().ok_or_else(closed)?;
        let mut prepared = connection.prepare_cached(&statement.sql).map_err(failed)?;
        bind(&mut prepared, statement.values.as_ref())?;
        let rows = prepared.raw_execute().map_err(failed)?;
        Ok(changed(rows as u64))
    }

    /// Runs a statement for at most `most` of its rows.
    pub(super) fn query(
        &self,
        statement: &Statement,
        most: usize,
    ) -> Result<Vec<QueryResult>, DbErr> {
        let lock = self.lock();
        queried(lock.as_ref().ok_or_else(closed)?, statement, most)
    }

    /// The same, but the statement fails as interrupted soon after `unwanted` is set.
    pub(super) fn query_unless(
        &self,
        unwanted: &Arc<AtomicBool>,
        statement: &Statement,
        most: usize,
    ) -> Result<Vec<QueryResult>, DbErr> {
        let lock = self.lock();
        let connection = lock.as_ref().ok_or_else(closed)?;
        let looked_at = Arc::clone(unwanted);
        let is_unwanted = move || looked_at.load(Ordering::Relaxed);
        connection.progress_handler(STEPS, Some(is_unwanted)).map_err(failed)?;
        queried(connection, statement, most)
    }

    /// Runs a test's code on the connection itself.
    #[cfg(test)]
    pub(super) fn with<T>(&self, run: impl FnOnce(&Rusqlite) -> T) -> T {
        run(self.lock().as_ref().unwrap())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Rusqlite>> {
        // A panic in between leaves nothing halfway: statements are reset when
        // they are dropped.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn queried(
    connection: &Rusqlite,
    statement: &Statement,
    most: usize,
) -> Result<Vec<QueryResult>, DbErr> {
    let mut prepared = connection.prepare_cached(&statement.sql).map_err(failed)?;
    bind(&mut prepared, statement.values.as_ref())?;
    let columns = Columns::of(&prepared);
    let mut rows = prepared.raw_query();
    let mut results = Vec::new();
    while results.len() < most
        && let Some(row) = rows.next().map_err(failed)?
    {
        results.push(columns.read(row)?);
    }
    Ok(results)
}

fn opened(
    path: &Path,
    flags: OpenFlags,
    busy_timeout: Duration,
) -> Result<Rusqlite, rusqlite::Error> {
    let connection = Rusqlite::open_with_flags(path, flags)?;
    connection.busy_timeout(busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    // Or SQLite compiles a statement anew for every value of a bound LIMIT. A bound
    // value proves no partial index then: those have literals.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

fn changed(rows_affected: u64) -> ExecResult {
    ProxyExecResult { last_insert_id: 0, rows_affected }.into()
}

#[async_trait]
impl ConnectionTrait for Connection {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Sqlite
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.execute(&statement)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.run(sql)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query(&statement, 1)?.pop())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.query(&statement, usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_cut_after_a_peak() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("guestlist.db");
        std::fs::File::create_new(&path).unwrap();
        let writer = Connection::open(&path, Duration::ZERO).unwrap();
        let size = || std::fs::metadata(directory.path().join("guestlist.db-wal")).unwrap().len();
        let most = u64::try_from(LOG_BYTES).unwrap();
        writer.run("CREATE TABLE filler (bytes BLOB)").unwrap();

        // While somebody reads, the log cannot begin anew.
        let reader = Connection::open_to_read(&path, Duration::ZERO).unwrap();
        reader.run("BEGIN; SELECT count(*) FROM filler").unwrap();
        for _ in 0..8 {
            writer.run("INSERT INTO filler VALUES (zeroblob(5000000))").unwrap();
        }
        assert!(size() > most, "there is a peak of {} bytes", size());
        reader.run("COMMIT").unwrap();
        for _ in 0..2 {
            writer.run("INSERT INTO filler VALUES (x'00')").unwrap();
        }
        assert!(size() <= most, "{} bytes are left", size());
    }
}
