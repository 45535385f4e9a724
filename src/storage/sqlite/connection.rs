//! One connection. Statements run on the caller's thread.

use std::borrow::{Borrow, Cow};
use std::collections::HashMap;
use std::hash::Hash;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};
use rusqlite::{Column, Connection as Rusqlite, OpenFlags, Statement as Prepared};
use sea_orm::Value;

use crate::storage::error::StoreError;
use crate::storage::statement::{Row, Statement, StatementResult};

/// The most statements that stay prepared; the service has fewer.
const MAX_PREPARED: usize = 256;

/// The page cache of the connection that writes, in KiB.
const WRITER_CACHE_KIB: i64 = 32 * 1024;

/// The number of pages in the log (16 MiB) at which SQLite writes them into the file. A page that
/// changes often is then written into the file only once.
const CHECKPOINT_PAGES: i64 = 4096;

/// The size to which SQLite truncates the log when it restarts the log: the size of those pages.
/// One large change, or a long read beside many small changes, makes it larger for a time.
const MAX_LOG_BYTES: i64 = CHECKPOINT_PAGES * 4096;

/// The page cache and the checkpoint limit for very many changes. If the keys of an index arrive in
/// no order, each row changes another page, so each write of the log into the file would write most
/// of the index again.
const BULK_CACHE_KIB: i64 = 256 * 1024;
const BULK_CHECKPOINT_PAGES: i64 = 32 * CHECKPOINT_PAGES;

/// The number of instructions of SQLite's virtual machine between two checks of whether a statement
/// is cancelled. They take some tens of microseconds.
const CANCEL_CHECK_STEPS: i32 = 1000;

/// The most bytes of the file that are mapped into memory (1 TiB); the limit that SQLite is
/// compiled with may be lower (`.cargo/config.toml`).
const MAX_MAPPED_BYTES: i64 = 1 << 40;

/// A connection to a SQLite file. It blocks the caller's thread: statements that take long
/// run on the connections of `lists.rs`.
#[derive(Debug)]
pub struct Connection {
    /// `None` after the connection was closed.
    open: Mutex<Option<Rusqlite>>,
    types: ColumnTypes,
}

impl Connection {
    /// Opens a file for reading and writing. `busy_timeout` is the longest wait for another
    /// process's lock.
    ///
    /// # Errors
    /// If it cannot be opened or is not a SQLite file.
    pub fn open(path: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = opened(path, flags, busy_timeout).map_err(failed)?;
        let set = |name, value: &str| connection.pragma_update(None, name, value);
        set("journal_mode", "WAL").map_err(failed)?;
        set("synchronous", "FULL").map_err(failed)?;
        set("foreign_keys", "ON").map_err(failed)?;
        // A group of changes fits into this cache, so that each page is written once.
        connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB).map_err(failed)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(failed)?;
        connection.pragma_update(None, "journal_size_limit", MAX_LOG_BYTES).map_err(failed)?;
        // SQLite creates the log of a new file at the first read.
        connection
            .query_row("SELECT count(*) FROM sqlite_master", (), |_| Ok(()))
            .map_err(failed)?;
        Ok(Self::new(connection))
    }

    fn new(open: Rusqlite) -> Self {
        Self { open: Mutex::new(Some(open)), types: ColumnTypes::default() }
    }

    /// Opens a file for reading only.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub(in crate::storage) fn open_to_read(
        path: &Path,
        busy_timeout: Duration,
    ) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Ok(Self::new(opened(path, flags, busy_timeout).map_err(failed)?))
    }

    /// Sets the size of its page cache.
    pub(super) fn with_cache(self, kib: i64) -> Result<Self, StoreError> {
        let set = |open: &Rusqlite| open.pragma_update(None, "cache_size", -kib);
        self.lock().as_ref().map_or(Ok(()), set).map_err(failed)?;
        Ok(self)
    }

    /// Opens a file for reading only, and maps it into memory, so that pages are not copied. For
    /// statements that read many pages: SQLite maps the file again after every commit, which costs
    /// more than copying one or two pages.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub(super) fn open_mapped(path: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
        let connection = Self::open_to_read(path, busy_timeout)?;
        let set = |mapped: &Rusqlite| mapped.pragma_update(None, "mmap_size", MAX_MAPPED_BYTES);
        connection.lock().as_ref().map_or(Ok(()), set).map_err(failed)?;
        Ok(connection)
    }

    /// Closes it after its running statement.
    ///
    /// # Errors
    /// If SQLite reports an error.
    pub fn close(&self) -> Result<(), StoreError> {
        match self.lock().take() {
            Some(connection) => connection.close().map_err(|(_, error)| failed(error)),
            None => Ok(()),
        }
    }

    /// Whether no statement runs on it now.
    pub(super) fn is_idle(&self) -> bool {
        self.open.try_lock().is_ok()
    }

    /// Whether no transaction is open on it.
    pub(in crate::storage) fn is_autocommit(&self) -> Result<bool, StoreError> {
        self.lock().as_ref().map(Rusqlite::is_autocommit).ok_or_else(StoreError::closed)
    }

    /// A number that changes with the commits of other connections, but not with those of this one.
    pub(in crate::storage) fn data_version(&self) -> Result<i64, StoreError> {
        let lock = self.lock();
        let connection = lock.as_ref().ok_or_else(StoreError::closed)?;
        let mut pragma = connection.prepare_cached("PRAGMA data_version").map_err(failed)?;
        pragma.query_row((), |row| row.get(0)).map_err(failed)
    }

    /// Runs a statement without values, such as COMMIT.
    pub(in crate::storage) fn command(&self, sql: &'static str) -> Result<(), StoreError> {
        let lock = self.lock();
        let connection = lock.as_ref().ok_or_else(StoreError::closed)?;
        let mut command = connection.prepare_cached(sql).map_err(failed)?;
        command.raw_execute().map(drop).map_err(failed)
    }

    /// Runs a statement.
    pub fn run(&self, statement: &Statement) -> Result<StatementResult, StoreError> {
        self.run_on(self.lock().as_ref().ok_or_else(StoreError::closed)?, statement)
    }

    /// As [`Connection::run`], but the statement fails as interrupted soon after `cancelled` is
    /// set.
    pub(super) fn run_unless(
        &self,
        cancelled: &Arc<AtomicBool>,
        statement: &Statement,
    ) -> Result<StatementResult, StoreError> {
        let lock = self.lock();
        let connection = lock.as_ref().ok_or_else(StoreError::closed)?;
        let cancelled = Arc::clone(cancelled);
        let is_cancelled = move || cancelled.load(Ordering::Relaxed);
        connection.progress_handler(CANCEL_CHECK_STEPS, Some(is_cancelled)).map_err(failed)?;
        self.run_on(connection, statement)
    }

    fn run_on(
        &self,
        connection: &Rusqlite,
        statement: &Statement,
    ) -> Result<StatementResult, StoreError> {
        let mut prepared = connection.prepare_cached(&statement.sql).map_err(failed)?;
        for (i, value) in statement.values.iter().enumerate() {
            prepared.raw_bind_parameter(i + 1, bound(value)?).map_err(failed)?;
        }
        if prepared.column_count() == 0 {
            let affected = prepared.raw_execute().map_err(failed)?;
            return Ok(StatementResult { affected: affected as u64, ..StatementResult::default() });
        }
        let types = self.types.of(statement, &prepared);
        let columns = match statement.names_columns {
            true => prepared.column_names().into_iter().map(str::to_owned).collect(),
            false => Vec::new(),
        };
        let mut found = prepared.raw_query();
        let mut rows = Vec::new();
        while let Some(row) = found.next().map_err(failed)? {
            let values =
                types.iter().enumerate().map(|(i, of)| of.read(row.get_ref(i).map_err(failed)?));
            rows.push(Row::new(values.collect::<Result<_, _>>()?));
        }
        Ok(StatementResult { rows, affected: 0, columns })
    }

    /// From now on, SQLite overwrites with zeros all content that statements of this connection
    /// delete or replace.
    pub(in crate::storage) fn overwrite_deleted(&self) -> Result<(), StoreError> {
        let lock = self.lock();
        let connection = lock.as_ref().ok_or_else(StoreError::closed)?;
        let set = "PRAGMA secure_delete = ON";
        connection.query_row(set, (), |_| Ok(())).map_err(failed)
    }

    /// Begins very many changes: commits do not wait for the disk, and the log becomes large.
    pub(in crate::storage) fn begin_bulk(&self) -> Result<(), StoreError> {
        self.set_for_bulk("NORMAL", BULK_CACHE_KIB, BULK_CHECKPOINT_PAGES)
    }

    /// Ends very many changes. The next commit waits until it and all commits before it are on the
    /// disk.
    pub(in crate::storage) fn end_bulk(&self) -> Result<(), StoreError> {
        self.set_for_bulk("FULL", WRITER_CACHE_KIB, CHECKPOINT_PAGES)
    }

    fn set_for_bulk(&self, synchronous: &str, cache: i64, pages: i64) -> Result<(), StoreError> {
        let lock = self.lock();
        let connection = lock.as_ref().ok_or_else(StoreError::closed)?;
        connection.pragma_update(None, "synchronous", synchronous).map_err(failed)?;
        connection.pragma_update(None, "cache_size", -cache).map_err(failed)?;
        connection.pragma_update(None, "wal_autocheckpoint", pages).map_err(failed)
    }

    /// Writes the log into the file and truncates it. Returns false if reads or writes of
    /// other connections did not end in time.
    pub(in crate::storage) fn truncate_log(&self) -> Result<bool, StoreError> {
        let lock = self.lock();
        let connection = lock.as_ref().ok_or_else(StoreError::closed)?;
        let is_busy: bool = connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))
            .map_err(failed)?;
        Ok(!is_busy)
    }

    /// Runs the statements of a test.
    #[cfg(test)]
    pub(in crate::storage) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.with(|connection| connection.execute_batch(sql)).map_err(failed)
    }

    /// Runs a test's code on the connection itself.
    #[cfg(test)]
    pub(in crate::storage) fn with<T>(&self, run: impl FnOnce(&Rusqlite) -> T) -> T {
        run(self.lock().as_ref().unwrap())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Rusqlite>> {
        // A panic leaves a usable connection: statements are reset when they are dropped.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

/// The types of the columns of statements, cached: reading them from SQLite at each use costs as
/// much as finding a row by its key. They stay valid, since no migration changes the type of a
/// column.
#[derive(Debug, Default)]
struct ColumnTypes {
    /// By the address and length of SQL that is never freed.
    of_static: Known<(usize, usize)>,
    of_built: Known<String>,
}

type Known<K> = Mutex<HashMap<K, Arc<[Type]>>>;

impl ColumnTypes {
    fn of(&self, statement: &Statement, prepared: &Prepared<'_>) -> Arc<[Type]> {
        match &statement.sql {
            Cow::Borrowed(sql) => {
                let key = (sql.as_ptr().addr(), sql.len());
                kept(&self.of_static, &key, |key| *key, prepared)
            }
            Cow::Owned(sql) => kept(&self.of_built, sql.as_str(), str::to_owned, prepared),
        }
    }
}

fn kept<K, Q>(
    known: &Known<K>,
    key: &Q,
    owned: impl FnOnce(&Q) -> K,
    prepared: &Prepared<'_>,
) -> Arc<[Type]>
where
    K: Borrow<Q> + Eq + Hash,
    Q: Eq + Hash + ?Sized,
{
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(types) = known.get(key) {
        return Arc::clone(types);
    }
    let types: Arc<[Type]> = prepared.columns().iter().map(Type::of).collect();
    if known.len() >= MAX_PREPARED {
        known.clear();
    }
    known.insert(owned(key), Arc::clone(&types));
    types
}

/// The declared type of a column, which SQLite's values do not contain.
#[derive(Debug, Clone, Copy)]
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
            // SQLite writes its own types in upper case, however they were declared.
            Some("TEXT") => Type::Text,
            Some("BLOB") => Type::Bytes,
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

pub(super) fn failed(error: rusqlite::Error) -> StoreError {
    match error {
        rusqlite::Error::SqliteFailure(failure, message) => {
            // The message names the constraint.
            let message = message.unwrap_or_else(|| failure.to_string());
            StoreError::reported(failure.extended_code.to_string(), None, message)
        }
        other => StoreError::fault(other.to_string()),
    }
}

pub(super) fn opened(
    path: &Path,
    flags: OpenFlags,
    busy_timeout: Duration,
) -> Result<Rusqlite, rusqlite::Error> {
    let connection = Rusqlite::open_with_flags(path, flags)?;
    connection.busy_timeout(busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(MAX_PREPARED);
    // Without this, SQLite compiles a statement again for each value of a bound LIMIT. With
    // it, a bound value does not use a partial index: their predicates are literals.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_write_ahead_log_is_truncated_after_a_peak() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("guestlist.db");
        std::fs::File::create_new(&path).unwrap();
        let writer = Connection::open(&path, Duration::ZERO).unwrap();
        let size = || std::fs::metadata(directory.path().join("guestlist.db-wal")).unwrap().len();
        let most = u64::try_from(MAX_LOG_BYTES).unwrap();
        writer.batch("CREATE TABLE filler (bytes BLOB)").unwrap();

        // While a read runs, SQLite cannot restart the log.
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

    #[test]
    fn p33_the_end_of_a_bulk_write_restores_the_settings() {
        let (_directory, path) = file();
        let writer = Connection::open(&path, Duration::ZERO).unwrap();
        let settings = || {
            ["synchronous", "cache_size", "wal_autocheckpoint"].map(|name| {
                let value = |connection: &Rusqlite| {
                    connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                };
                writer.with(value).unwrap()
            })
        };
        let before = settings();
        assert_eq!(before[0], 2, "FULL");
        writer.begin_bulk().unwrap();
        assert_eq!(settings()[0], 1, "NORMAL");
        writer.end_bulk().unwrap();
        assert_eq!(settings(), before);
    }

    #[test]
    fn deleted_values_leave_no_bytes_after_the_log_is_truncated() {
        let (_directory, path) = file();
        let writer = Connection::open(&path, Duration::ZERO).unwrap();
        writer
            .batch("CREATE TABLE one (text TEXT); INSERT INTO one VALUES ('wilhelmina')")
            .unwrap();
        let found = |suffix: &str| {
            let bytes = std::fs::read(format!("{}{suffix}", path.display())).unwrap();
            bytes.windows(10).any(|part| part == b"wilhelmina")
        };
        writer.overwrite_deleted().unwrap();
        let reader = Connection::open_to_read(&path, Duration::ZERO).unwrap();
        reader.batch("BEGIN; SELECT count(*) FROM one").unwrap();
        writer.batch("DELETE FROM one").unwrap();
        assert!(!writer.truncate_log().unwrap());
        assert!(found("-wal"));
        reader.batch("COMMIT").unwrap();
        assert!(writer.truncate_log().unwrap());
        assert!(!found("") && !found("-wal"));
    }

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("guestlist.db");
        std::fs::File::create_new(&path).unwrap();
        (directory, path)
    }
}
