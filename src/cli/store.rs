//! What commands that work on the store share, and `guestlist migrate`.

use std::io::Write;

use super::Failure;
use crate::config::{self, Config};
use crate::error::{Error, Kind, Result};
use crate::storage::{Location, Opener, Schema, Store};
use crate::telemetry;

/// `guestlist migrate`
pub(super) fn migrate(config: &Config) -> Result<(), Failure> {
    let before = with_store(config, async |store| {
        let before = store.schema().await?;
        store.migrate(async |_| Ok(())).await?;
        Ok(before)
    })?;
    match before {
        Schema::Current | Schema::Ahead(_) => say("the schema was up to date"),
        Schema::Missing => say("the schema is up to date; it was made"),
        Schema::Behind(names) => {
            say(&format!("the schema is up to date; made: {}", names.join(", ")))
        }
    }
}

/// Runs a command on the store, beside a server that may be running.
pub(super) fn with_store<T>(
    config: &Config,
    command: impl AsyncFnOnce(&Store) -> Result<T>,
) -> Result<T> {
    // Warnings alone, such as that a migration waits for another; the answer is the
    // command's own.
    let log = config::Log { filter: "warn".to_owned(), ..config.log.clone() };
    let _log = telemetry::init(&log)?;
    block_on(async {
        let location = Location::from_config(config)?;
        let store = Store::open(&location, &config.database, Opener::CommandLine, None).await?;
        let outcome = command(&store).await;
        let closed = store.close().await;
        let value = outcome?;
        closed?;
        Ok(value)
    })
}

/// Refuses a store that is not there: opening it would make an empty one, which
/// answers everything with nothing.
pub(super) fn must_exist(config: &Config) -> Result<()> {
    match Location::from_config(config)? {
        Location::Sqlite(path) if !path.exists() => Err(Error::new(
            Kind::FailedPrecondition,
            format!(
                "there is no store at {}: start the server first, or say where it is with \
                 --data-dir or --database-url",
                path.display()
            ),
        )),
        _ => Ok(()),
    }
}

/// Runs a future to its end, on this thread.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::internal)?
        .block_on(future)
}

/// Writes a line to standard output. Unlike `println!`, it does not panic when
/// nobody reads.
pub(super) fn say(line: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(|e| Failure::Failed(Error::internal(e).with_message("cannot write the answer")))
}
