//! Runs changes in transactions, again where that may help.

mod postgres;
mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::Instant;

use super::connection::{StoreState, Tx};
use super::error::{Cause, StoreError, WriteError};
use super::postgres::Pool;
use crate::error::{Error, Kind, Result};

pub(super) use sqlite::Writer as SqliteWriter;

/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// What runs changes on each engine.
pub(super) enum Writer {
    /// Each change in a transaction of its own, on a connection of its own.
    Postgres(Pool),
    /// Changes that arrive together in one transaction.
    Sqlite(sqlite::Writer),
}

impl Writer {
    /// Runs a change; see [`Store::write`](super::Store::write). An attempt begins within
    /// `patience` or not at all.
    pub(super) async fn write<T, F>(
        &self,
        change: F,
        state: &Arc<StoreState>,
        patience: Duration,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: AsyncFn(&Tx) -> Result<T> + Send + Sync + 'static,
    {
        let until = Instant::now() + patience;
        let change = Arc::new(change);
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(5))
            .with_max_delay(MAX_PAUSE)
            .with_max_times(6)
            .with_jitter()
            .build();
        loop {
            let result = match self {
                Writer::Postgres(pool) => {
                    // Boxed: the future holds the whole change. On SQLite another thread
                    // does.
                    Box::pin(postgres::write(pool, &*change, Arc::clone(state), until)).await
                }
                Writer::Sqlite(writer) => {
                    writer.write(Arc::clone(&change), Arc::clone(state), until).await
                }
            };
            let (error, cause) = match result {
                Ok(value) => return Ok(value),
                // No retry: the change may have been made.
                Err(WriteError::Unknown(error)) => return Err(unconfirmed(error)),
                Err(WriteError::NotDone(error, cause)) => (error, cause),
            };
            let pause = match cause {
                // A connection of this process may become free at any time.
                Some(Cause::Crowded) => Some(MAX_PAUSE),
                Some(cause) if cause.is_worth_a_retry() => pauses.next(),
                _ => None,
            };
            match pause {
                Some(pause) if Instant::now() + pause < until => tokio::time::sleep(pause).await,
                _ => return Err(error),
            }
        }
    }
}

fn unconfirmed(error: StoreError) -> Error {
    let error = Error::from(error);
    match error.kind {
        Kind::ResourceExhausted => error,
        _ => Error { kind: Kind::Unavailable, ..error }
            .with_message("the store did not confirm the change; look before trying again"),
    }
}
