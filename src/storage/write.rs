//! Runs changes in transactions, and runs them again if that may help.

mod change;
mod group;
mod postgres;
mod sqlite;

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::error::{Cause, StoreError, WriteError};
use crate::error::{Error, Kind, Result};

pub use change::Change;
pub(super) use postgres::Writer as PostgresWriter;
pub(super) use sqlite::Writer as SqliteWriter;

/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// Runs changes on one of the engines.
pub(super) enum Writer {
    Postgres(postgres::Writer),
    Sqlite(sqlite::Writer),
}

impl Writer {
    /// The name of the engine, in traces.
    pub(super) fn engine(&self) -> &'static str {
        match self {
            Writer::Postgres(_) => "postgresql",
            Writer::Sqlite(_) => "sqlite",
        }
    }

    /// Runs a change; see [`Store::write`](super::Store::write). An attempt begins within
    /// `max_wait` or not at all.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        organization: Option<Uuid>,
        change: Change<T>,
        max_wait: Duration,
    ) -> Result<T> {
        let until = Instant::now() + max_wait;
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(5))
            .with_max_delay(MAX_PAUSE)
            .with_max_times(6)
            .with_jitter()
            .build();
        loop {
            let (error, cause) = match self.attempt(organization, change.clone(), until).await {
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

    async fn attempt<T: Send + 'static>(
        &self,
        organization: Option<Uuid>,
        change: Change<T>,
        until: Instant,
    ) -> Result<T, WriteError> {
        let (job, answer) = change::job(change, until);
        match self {
            Writer::Postgres(writer) => {
                writer.send(organization, job);
                answer.wait(StoreError::timed_out).await
            }
            Writer::Sqlite(writer) => {
                timeout_at(until, writer.send(job))
                    .await
                    .unwrap_or_else(|_| Err(sqlite::busy()))?;
                answer.wait(sqlite::busy).await
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
