//! Helpers of the commands that use the store, and `guestlist migrate`.

use std::io::Write;

use super::Failure;
use crate::config::{self, Config};
use crate::error::{Error, Kind, Result};
use crate::storage::change;
use crate::storage::{Location, Opener, Schema, Store};
use crate::telemetry;

/// `guestlist migrate`
pub(super) fn migrate(config: &Config) -> Result<(), Failure> {
    let before = with_store(config, async |store| {
        let before = store.schema().await?;
        store.migrate(change!(async |_| Ok(()))).await?;
        Ok(before)
    })?;
    match before {
        Schema::Current | Schema::Ahead(_) => print("the schema was up to date"),
        Schema::Missing => print("the schema is up to date; it was created"),
        Schema::Behind(names) => {
            print(&format!("the schema is up to date; applied migrations: {}", names.join(", ")))
        }
    }
}

/// Runs a command on the store. A server may be running at the same time.
pub(super) fn with_store<T>(
    config: &Config,
    command: impl AsyncFnOnce(&Store) -> Result<T>,
) -> Result<T> {
    with_store_as(Opener::CommandLine, config, command)
}

/// As `with_store`, but on SQLite no server may be running at the same time.
pub(super) fn with_store_alone<T>(
    config: &Config,
    command: impl AsyncFnOnce(&Store) -> Result<T>,
) -> Result<T> {
    with_store_as(Opener::Server, config, command)
}

fn with_store_as<T>(
    opener: Opener,
    config: &Config,
    command: impl AsyncFnOnce(&Store) -> Result<T>,
) -> Result<T> {
    // Only warnings, for example that a migration waits for another one: the command prints
    // its own result.
    let log = config::Log { filter: "warn".to_owned(), ..config.log.clone() };
    let _log = telemetry::init(&log)?;
    block_on(async {
        let location = Location::from_config(config)?;
        let store = Store::open(&location, &config.database, opener, None).await?;
        let outcome = command(&store).await;
        let closed = store.close().await;
        let value = outcome?;
        closed?;
        Ok(value)
    })
}

/// # Errors
/// If the SQLite file does not exist: opening it would create an empty store.
pub(super) fn require_store(config: &Config) -> Result<()> {
    match Location::from_config(config)? {
        Location::Sqlite(path) if !path.exists() => Err(Error::new(
            Kind::FailedPrecondition,
            format!(
                "there is no store at {}: start the server first, or set its path with --data-dir \
                 or --database-url",
                path.display()
            ),
        )),
        _ => Ok(()),
    }
}

pub(super) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::internal)?
        .block_on(future)
}

/// Prints a line to standard output. Unlike `println!`, it does not panic if standard output
/// is closed.
pub(super) fn print(line: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).map_err(|e| {
        Failure::Failed(Error::internal(e).with_message("cannot write to standard output"))
    })
}
