//! One connection, on which statements run where they are asked for.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};
use rusqlite::{Column, Connection as Rusqlite, OpenFlags};
use sea_orm::Value;

use crate::storage::error::StoreError;
use crate::storage::statement::{Row, Statement, StatementResult};

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
    pub fn open(path: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
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
    pub(super) fn open_to_read(path: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Ok(Self(Mutex::new(Some(opened(path, flags, busy_timeout).map_err(failed)?))))
    }

    /// Opens a file for reading many pages at a time: they are looked at where the system
    /// has them. After every commit SQLite maps the file anew, which for a page or two
    /// costs more than to copy them.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub(super) fn open_mapped(path: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
        let connection = Self::open_to_read(path, busy_timeout)?;
        let set = |mapped: &Rusqlite| mapped.pragma_update(None, "mmap_size", MAPPED_BYTES);
        connection.lock().as_ref().map_or(Ok(()), set).map_err(failed)?;
        Ok(connection)
    }

    /// Closes it, after what runs on it.
    ///
    /// # Errors
    /// If SQLite cannot end it in order.
    pub fn close(&self) -> Result<(), StoreError> {
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
    pub(super) fn is_autocommit(&self) -> Result<bool, StoreError> {
        self.lock().as_ref().map(Rusqlite::is_autocommit).ok_or_else(StoreError::closed)
    }

    /// Runs a statement without values, such as COMMIT.
    pub(super) fn command(&self, sql: &'static str) -> Result<(), StoreError> {
        let lock = self.lock();
        let connection = lock.as_ref().ok_or_else(StoreError::closed)?;
        let mut command = connection.prepare_cached(sql).map_err(failed)?;
        command.raw_execute().map(drop).map_err(failed)
    }

    /// Runs a statement.
    pub fn run(&self, statement: &Statement) -> Result<StatementResult, StoreError> {
        run(self.lock().as_ref().ok_or_else(StoreError::closed)?, statement)
    }

    /// The same, but the statement fails as interrupted soon after `cancelled` is set.
    pub(super) fn run_unless(
        &self,
        cancelled: &Arc<AtomicBool>,
        statement: &Statement,
    ) -> Result<StatementResult, StoreError> {
        let lock = self.lock();
        let connection = lock.as_ref().ok_or_else(StoreError::closed)?;
        let cancelled = Arc::clone(cancelled);
        let is_cancelled = move || cancelled.load(Ordering::Relaxed);
        connection.progress_handler(STEPS, Some(is_cancelled)).map_err(failed)?;
        run(connection, statement)
    }

    /// The names of a query's columns.
    pub(in crate::storage) fn columns(&self, sql: &str) -> Result<Vec<String>, StoreError> {
        let lock = self.lock();
        let connection = lock.as_ref().ok_or_else(StoreError::closed)?;
        let prepared = connection.prepare_cached(sql).map_err(failed)?;
        Ok(prepared.column_names().into_iter().map(str::to_owned).collect())
    }

    /// Runs the statements of a test.
    #[cfg(test)]
    pub(super) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.with(|connection| connection.execute_batch(sql)).map_err(failed)
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

fn run(connection: &Rusqlite, statement: &Statement) -> Result<StatementResult, StoreError> {
    let mut prepared = connection.prepare_cached(&statement.sql).map_err(failed)?;
    for (i, value) in statement.values.iter().enumerate() {
        prepared.raw_bind_parameter(i + 1, bound(value)?).map_err(failed)?;
    }
    if prepared.column_count() == 0 {
        let affected = prepared.raw_execute().map_err(failed)?;
        return Ok(StatementResult { rows: Vec::new(), affected: affected as u64 });
    }
    let types: Vec<Type> = prepared.columns().iter().map(Type::of).collect();
    let mut found = prepared.raw_query();
    let mut rows = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        let values =
            types.iter().enumerate().map(|(i, of)| of.read(row.get_ref(i).map_err(failed)?));
        rows.push(Row::new(values.collect::<Result<_, _>>()?));
    }
    Ok(StatementResult { rows, affected: 0 })
}

fn bound(value: &Value) -> Result<ToSqlOutput<'_>, StoreError> {
    let integer =
        |value: Option<i64>| ToSqlOutput::Owned(value.map_or(Owned::Null, Owned::Integer));
    let bytes = |bytes| ToSqlOutput::Borrowed(ValueRef::Blob(bytes));
    let null = ToSqlOutput::Borrowed(ValueRef::Null);
    Ok(match value {
        Value::Bool(value) => integer(value.map(i64::from)),
        Value::Int(value) => integer(value.map(i64::from)),
        Value::BigInt(value) => integer(*value),
        Value::BigUnsigned(value) => {
            let value = value.map(i64::try_from).transpose();
            integer(value.map_err(|_| StoreError::fault("a number beyond 64 bits with a sign"))?)
        }
        Value::String(value) => value.as_ref().map_or(null, |text| text.as_str().into()),
        Value::Bytes(value) => value.as_deref().map_or(null, bytes),
        Value::Uuid(value) => value.as_ref().map_or(null, |uuid| bytes(uuid.as_bytes())),
        _ => return Err(StoreError::fault("a bound value has a type that no column has")),
    })
}

/// The declared type of a column, which SQLite's values do not tell.
#[derive(Clone, Copy)]
enum Type {
    Bool,
    Uuid,
    Text,
    Bytes,
    /// Integers, and expressions of any type.
    Other,
}

impl Type {
    fn of(column: &Column<'_>) -> Self {
        match column.decl_type() {
            Some("boolean") => Type::Bool,
            Some("uuid_text") => Type::Uuid,
            Some("text") => Type::Text,
            Some("blob") => Type::Bytes,
            _ => Type::Other,
        }
    }

    fn read(self, value: ValueRef<'_>) -> Result<Value, StoreError> {
        let wrong = || StoreError::fault("a stored value is not of its column's type");
        Ok(match (self, value) {
            (Type::Bool, ValueRef::Null) => Value::Bool(None),
            (Type::Uuid, ValueRef::Null) => Value::Uuid(None),
            (Type::Text, ValueRef::Null) => Value::String(None),
            (Type::Bytes, ValueRef::Null) => Value::Bytes(None),
            (Type::Other, ValueRef::Null) => Value::BigInt(None),
            (Type::Bool, ValueRef::Integer(value)) => (value != 0).into(),
            (Type::Uuid, ValueRef::Blob(bytes)) => {
                uuid::Uuid::from_slice(bytes).map_err(|_| wrong())?.into()
            }
            (Type::Text | Type::Other, ValueRef::Text(text)) => {
                std::str::from_utf8(text).map_err(|_| wrong())?.into()
            }
            (Type::Bytes | Type::Other, ValueRef::Blob(bytes)) => bytes.to_vec().into(),
            (Type::Other, ValueRef::Integer(value)) => value.into(),
            (Type::Other, ValueRef::Real(value)) => value.into(),
            _ => return Err(wrong()),
        })
    }
}

fn failed(error: rusqlite::Error) -> StoreError {
    match error {
        rusqlite::Error::SqliteFailure(failure, message) => {
            // The message names the constraint.
            let message = message.unwrap_or_else(|| failure.to_string());
            StoreError::reported(failure.extended_code.to_string(), None, message)
        }
        other => StoreError::fault(other.to_string()),
    }
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
        writer.batch("CREATE TABLE filler (bytes BLOB)").unwrap();

        // While somebody reads, the log cannot begin anew.
        let reader = Connection::open_to_read(&path, Duration::ZERO).unwrap();
        reader.batch("BEGIN; SELECT count(*) FROM filler").unwrap();
        for _ in 0..8 {
            writer.batch("INSERT INTO filler VALUES (zeroblob(5000000))").unwrap();
        }
        assert!(size() > most, "there is a peak of {} bytes", size());
        reader.batch("COMMIT").unwrap();
        for _ in 0..2 {
            writer.batch("INSERT INTO filler VALUES (x'00')").unwrap();
        }
        assert!(size() <= most, "{} bytes are left", size());
    }
}
