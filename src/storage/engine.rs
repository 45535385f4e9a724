//! All that SQLite and PostgreSQL disagree on.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sea_orm::DbErr;
use secrecy::ExposeSecret;

use super::error::OrError;
use super::tx::{Readers, Watching};
use super::write::Writer;
use super::{postgres, sqlite};
use crate::config;
use crate::error::{Error, Result};

/// Where the store is.
#[derive(Debug, Clone)]
pub enum Location {
    /// A file in this process's hands.
    Sqlite(PathBuf),
    /// A server.
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
        let text = url.expose_secret();
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.starts_with(":memory:") || path.contains('?') {
                return Err(Error::invalid(
                    "database_url",
                    "must name a file, such as sqlite:/var/lib/guestlist/guestlist.db",
                ));
            }
            return Ok(Location::Sqlite(PathBuf::from(path)));
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

/// Opens the store's connections: what reads, and what writes.
pub(super) async fn connect(
    location: &Location,
    settings: &config::Database,
    watching: &Watching,
) -> Result<(Readers, Writer)> {
    match location {
        Location::Sqlite(path) => connect_sqlite(path, settings, watching).or_error(),
        Location::Postgres(address) => {
            let pool = postgres::Pool::new(address.clone(), settings).or_error()?;
            let readers = postgres::Readers::new(pool.clone());
            // Or a server that is away or unfit would be noticed by the first caller.
            pool.check_server().await.or_error()?;
            Ok((Readers::Postgres(readers), Writer::Postgres(pool)))
        }
    }
}

/// One writer, since SQLite has one; many readers, which never wait for it (WAL).
fn connect_sqlite(
    path: &Path,
    settings: &config::Database,
    watching: &Watching,
) -> std::result::Result<(Readers, Writer), DbErr> {
    let busy_timeout = settings.acquire_timeout;
    // First: it makes of the file what readers find.
    let writer = sqlite::Connection::open(path, busy_timeout)?;
    let readers = sqlite::Readers::open(path, settings.max_connections, busy_timeout)?;
    let writer = sqlite::Writer::start(writer, Arc::clone(&watching.commits))
        .map_err(|error| DbErr::Custom(error.to_string()))?;
    Ok((Readers::Sqlite(readers), Writer::Sqlite(writer)))
}

/// Makes the file of a SQLite store and its directory for their owner's eyes
/// alone, where they are not there yet; the files SQLite makes beside it have the
/// same permissions.
///
/// # Errors
/// If they cannot be made.
pub(super) fn make_file(path: &Path) -> Result<()> {
    let cannot = |what: &Path, e| {
        let message = format!("cannot make {}: {e}", what.display());
        Error::internal(e).with_message(message)
    };
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|e| cannot(directory, e))?;
    }
    open_private(path).map(drop).map_err(|e| cannot(path, e))
}

fn open_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// Keeps a second *server* off a SQLite file, which has one process's caches and
/// workers over it. The command line does not take it.
///
/// # Errors
/// If another server has the file.
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
