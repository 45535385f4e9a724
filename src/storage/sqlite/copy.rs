//! Copies of a database file, and their check.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection as Rusqlite, OpenFlags};
use sea_orm::sea_query::{Alias, Expr, Query, SqliteQueryBuilder};

use super::connection::{failed, opened};
use crate::error::Result;
use crate::storage::error::StoreError;

/// The pages that are copied at a time (4 MiB).
const STEP_PAGES: i32 = 1024;

/// The number of rows of each table.
pub type Rows = BTreeMap<String, u64>;

/// Copies the state of a database at one moment into an empty file; other connections may write to
/// the database meanwhile. The copy needs no other files. `progress` receives the copied
/// percentage.
///
/// # Errors
/// If `progress` returns an error; if a file cannot be read or written, or the copy is not equal to
/// the database.
pub fn copy(
    from: &Path,
    to: &Path,
    busy_timeout: Duration,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Rows> {
    let source = open(from, OpenFlags::SQLITE_OPEN_READ_ONLY, busy_timeout)?;
    // The transaction keeps the state of one moment. Without it, the copy restarts after each
    // commit.
    source.execute_batch("BEGIN").map_err(failed)?;
    let rows = rows(&source)?;

    let mut target = open(to, OpenFlags::SQLITE_OPEN_READ_WRITE, busy_timeout)?;
    // The caller syncs the file, and deletes it after an error.
    target.pragma_update(None, "journal_mode", "OFF").map_err(failed)?;
    target.pragma_update(None, "synchronous", "OFF").map_err(failed)?;
    copy_pages(&source, &mut target, progress)?;
    make_single_file(&target)?;
    target.close().map_err(|(_, error)| failed(error))?;
    source.execute_batch("COMMIT").map_err(failed)?;
    source.close().map_err(|(_, error)| failed(error))?;

    if check(to)? != rows {
        return Err(StoreError::fault("the copy has other rows than the database").into());
    }
    Ok(rows)
}

fn copy_pages(
    source: &Rusqlite,
    target: &mut Rusqlite,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let backup = Backup::new(source, target).map_err(failed)?;
    loop {
        let step = backup.step(STEP_PAGES).map_err(failed)?;
        let pages = backup.progress();
        let total = u64::from(pages.pagecount.unsigned_abs()).max(1);
        progress(100 - 100 * u64::from(pages.remaining.unsigned_abs()) / total)?;
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            // Not expected: no other process uses the copy, and readers of the database wait for no
            // lock.
            _ => return Err(StoreError::fault("the copy is used by another process").into()),
        }
    }
}

/// Converts a database file so that it needs no log file.
///
/// # Errors
/// If it is not a database, or cannot be written.
pub fn detach(path: &Path) -> std::result::Result<(), StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, Duration::ZERO)?;
    make_single_file(&connection)?;
    connection.close().map_err(|(_, error)| failed(error))
}

fn make_single_file(connection: &Rusqlite) -> std::result::Result<(), StoreError> {
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0))
        .map_err(failed)?;
    match mode.as_str() {
        "delete" => Ok(()),
        other => Err(StoreError::fault(format!("the copy stays in journal mode {other}"))),
    }
}

/// Reads all of a database and checks its structure; returns the rows of its tables.
///
/// # Errors
/// If it is damaged.
pub fn check(path: &Path) -> std::result::Result<Rows, StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, Duration::ZERO)?;
    let found: String =
        connection.query_row("PRAGMA integrity_check(1)", (), |row| row.get(0)).map_err(failed)?;
    if found != "ok" {
        return Err(StoreError::fault(format!("the file is damaged: {found}")));
    }
    let rows = rows(&connection)?;
    connection.close().map_err(|(_, error)| failed(error))?;
    Ok(rows)
}

fn rows(connection: &Rusqlite) -> std::result::Result<Rows, StoreError> {
    let tables =
        "SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_'";
    let mut tables = connection.prepare(tables).map_err(failed)?;
    let names = tables.query_map((), |row| row.get::<_, String>(0)).map_err(failed)?;
    names
        .map(|name| {
            let name = name.map_err(failed)?;
            let mut count = Query::select();
            count.expr(Expr::cust("COUNT(*)")).from(Alias::new(&name));
            let number = connection
                .query_row(&count.to_string(SqliteQueryBuilder), (), |row| row.get::<_, i64>(0))
                .map_err(failed)?;
            Ok((name, number.unsigned_abs()))
        })
        .collect()
}

fn open(
    path: &Path,
    access: OpenFlags,
    busy_timeout: Duration,
) -> std::result::Result<Rusqlite, StoreError> {
    opened(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX, busy_timeout).map_err(failed)
}
