//! Where the store is, and how it is opened there.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::ExposeSecret;

use super::connection::{Readers, StoreState};
use super::error::StoreError;
use super::write::{PostgresWriter, SqliteWriter, Writer};
use super::{postgres, sqlite};
use crate::config;
use crate::error::{Error, Result};

/// Where the store is.
#[derive(Debug, Clone)]
pub enum Location {
    /// The database file.
    Sqlite(PathBuf),
    /// A database on a server.
    Postgres(postgres::Address),
}

impl Location {
    /// Reads a database URL; without one, the store is a file in the data
    /// directory.
    ///
    /// # Errors
    /// If it is neither `sqlite:PATH` nor a URL `postgres://…`.
    pub fn from_config(config: &config::Config) -> Result<Self> {
        let Some(url) = &config.database_url else {
            return Ok(Location::Sqlite(config.data_dir.join("guestlist.db")));
        };
        // A secret file written with `echo` ends in a new line.
        let text = url.expose_secret().trim();
        if let Some(path) = text.strip_prefix("sqlite:") {
            return sqlite_file(path).map_err(|why| Error::invalid("database_url", why));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let address = postgres::Address::parse(text);
            return address
                .map(Location::Postgres)
                .map_err(|what| Error::invalid("database_url", what));
        }
        Err(Error::invalid("database_url", "must start with sqlite: or postgres://"))
    }
}

/// The database file that the text after `sqlite:` names. This text is a path, not a URI.
fn sqlite_file(path: &str) -> std::result::Result<Location, &'static str> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.starts_with(":memory:") {
        return Err("must name a file, such as sqlite:/var/lib/guestlist/guestlist.db");
    }
    if path.starts_with("file:") {
        return Err("must name the file without file:, such as sqlite:/var/lib/guestlist.db");
    }
    if path.starts_with('~') {
        return Err("must name the file without ~, which only shells know");
    }
    if path.contains('?') {
        return Err("must name a file without parameters: none, such as mode, is looked at");
    }
    if path.chars().any(char::is_control) {
        return Err("must not have control characters in the file's name");
    }
    Ok(Location::Sqlite(PathBuf::from(path)))
}

/// Opens the connections for reads and for writes.
pub(super) async fn connect(
    location: &Location,
    settings: &config::Database,
    state: &Arc<StoreState>,
) -> Result<(Readers, Writer)> {
    match location {
        Location::Sqlite(path) => Ok(connect_sqlite(path, settings, state)?),
        Location::Postgres(address) => {
            let pool = postgres::Pool::new(address.clone(), settings, state.statistics.clone())?;
            let readers = postgres::Readers::new(pool.clone());
            // If the server cannot be used, the start must fail, not the first request.
            pool.check_server().await?;
            Ok((
                Readers::Postgres(readers),
                Writer::Postgres(PostgresWriter::new(pool, Arc::clone(state))),
            ))
        }
    }
}

/// Opens one writer, because SQLite allows only one, and many readers, which never wait for it (WAL
/// mode).
fn connect_sqlite(
    path: &Path,
    settings: &config::Database,
    state: &Arc<StoreState>,
) -> std::result::Result<(Readers, Writer), StoreError> {
    let busy_timeout = settings.acquire_timeout;
    // The writer opens first, because it initializes the file.
    let writer = sqlite::Connection::open(path, busy_timeout)?;
    let readers = sqlite::Readers::open(path, settings.max_connections, busy_timeout)?;
    let files = sqlite::Files::of(path)?;
    let writer = SqliteWriter::start(writer, files, Arc::clone(state))
        .map_err(|error| StoreError::fault(error.to_string()))?;
    Ok((Readers::Sqlite(readers), Writer::Sqlite(writer)))
}

/// Creates the file of a SQLite store and its directory if they are missing, readable by
/// their owner alone. SQLite creates further files with the same permissions.
///
/// # Errors
/// If they cannot be made.
pub(super) fn make_file(path: &Path) -> Result<()> {
    make_directory(path)?;
    open_private(path).map(drop).map_err(|e| cannot_make(path, e))
}

/// Creates the directory of a file if it is missing, readable by its owner alone.
///
/// # Errors
/// If it cannot be made.
pub(super) fn make_directory(path: &Path) -> Result<()> {
    let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) else {
        return Ok(());
    };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|e| cannot_make(directory, e))
}

fn cannot_make(what: &Path, e: std::io::Error) -> Error {
    let message = format!("cannot make {}: {e}", what.display());
    Error::internal(e).with_message(message)
}

pub(super) fn open_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// Locks a SQLite file against a second server: the caches and workers of a server rely on being
/// the only ones. Most commands do not take the lock.
///
/// # Errors
/// If another server has the lock.
pub(super) fn lock_file(path: &Path) -> Result<File> {
    let lock = path.with_extension("lock");
    let file = open_private(&lock)
        .map_err(|e| Error::internal(e).with_message(format!("cannot open {}", lock.display())))?;
    file.try_lock().map_err(|e| {
        Error::internal(e).with_message(format!(
            "another guestlist server uses {}: stop it, or use another --data-dir",
            path.display()
        ))
    })?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_file_path_is_accepted() {
        for good in ["/var/lib/g.db", "///var/lib/g.db"] {
            let Ok(Location::Sqlite(path)) = sqlite_file(good) else { panic!("{good}") };
            assert_eq!(path, Path::new("/var/lib/g.db"));
        }
        for (wrong, why) in [
            ("", "must name a file"),
            (":memory:", "must name a file"),
            ("file:/g.db", "file:"),
            ("~/g.db", "~"),
            ("/g.db?mode=ro", "parameters"),
            ("/g\n.db", "control"),
        ] {
            let error = sqlite_file(wrong).expect_err(wrong);
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
