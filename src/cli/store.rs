//! What commands that work on the store share, and `guestlist migrate`.

use std::io::Write;

use super::Failure;
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::storage::{Location, Opener, Store};

/// `guestlist migrate`
pub(super) fn migrate(config: &Config) -> Result<(), Failure> {
    let pending = with_store(config, async |store| {
        let pending = store.pending_migrations().await?;
        store.migrate(async |_| Ok(())).await?;
        Ok(pending)
    })?;
    match pending.len() {
        0 => say("the schema was up to date"),
        n => say(&format!("the schema is up to date; {n} migrations were made")),
    }
}

/// Runs a command on the store, beside a server that may be running.
pub(super) fn with_store<T>(
    config: &Config,
    command: impl AsyncFnOnce(&Store) -> Result<T>,
) -> Result<T> {
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

/// Refuses a store whose schema is older than this program.
pub(super) async fn must_be_current(store: &Store) -> Result<()> {
    if store.pending_migrations().await?.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Kind::FailedPrecondition,
        "the store's schema is not up to date: run `guestlist migrate`",
    ))
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
