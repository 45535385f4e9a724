//! Transactions, from their beginning to the word that they are made.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use sea_orm::DbErr;
use tokio::time::Instant;

use super::error::{is_crowded, to_error, worth_another_try};
use super::postgres::{self, Uncommitted};
use super::sqlite;
use super::tx::{Transaction, Tx, Watching};
use crate::error::{Error, Kind, Result};

/// Between two tries, at most.
const MOST_PAUSE: Duration = Duration::from_millis(250);

/// What makes changes on each engine.
pub(super) enum Writer {
    /// A transaction each, on a connection of its own.
    Postgres(postgres::Pool),
    /// What comes together, together.
    Sqlite(sqlite::Writer),
}

/// Why a change was not made.
#[derive(Debug)]
pub(super) enum Refused {
    /// It failed by itself, or there was no transaction for it: nothing was
    /// changed.
    Change(Error),
    /// The commit failed.
    Commit(DbErr),
}

impl Writer {
    /// Makes a change; see [`Store::write`](super::Store::write). All tries together wait
    /// for `patience` at most until one of them has begun.
    pub(super) async fn write<T, F>(
        &self,
        change: F,
        watching: &Watching,
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
            .with_max_delay(MOST_PAUSE)
            .with_max_times(6)
            .with_jitter()
            .build();
        loop {
            let made = match self {
                Writer::Postgres(pool) => {
                    // Boxed, since all that a change does is in it: on SQLite that is
                    // another thread's matter.
                    Box::pin(on_postgres(pool, &*change, watching.clone(), until)).await
                }
                Writer::Sqlite(writer) => {
                    writer.write(Arc::clone(&change), watching.clone(), until).await
                }
            };
            let error = match made {
                Ok(value) => return Ok(value),
                // Never tried again: whether it happened is not known.
                Err(Refused::Commit(error)) => return Err(unconfirmed(error)),
                Err(Refused::Change(error)) => error,
            };
            let pause = match is_crowded(&error) {
                true => Some(MOST_PAUSE),
                false => pauses.next(),
            };
            match pause {
                Some(pause) if worth_another_try(&error) && Instant::now() + pause < until => {
                    tokio::time::sleep(pause).await;
                }
                _ => return Err(error),
            }
        }
    }
}

async fn on_postgres<T>(
    pool: &postgres::Pool,
    change: &impl AsyncFn(&Tx) -> Result<T>,
    watching: Watching,
    until: Instant,
) -> std::result::Result<T, Refused> {
    let transaction = Arc::new(postgres::Transaction::of_change(pool, until));
    let tx = Tx::new(Transaction::Postgres(Arc::clone(&transaction)), watching);
    match change(&tx).await {
        Ok(value) => transaction.commit().await.map(|()| value).map_err(|error| match error {
            Uncommitted::Statement(error) => Refused::Change(to_error(error)),
            Uncommitted::Commit(error) => Refused::Commit(error),
        }),
        Err(error) => {
            if let Err(error) = transaction.rollback().await {
                // The connection rolls back by itself then; the log should know.
                tracing::debug!(%error, "rollback failed");
            }
            Err(Refused::Change(error))
        }
    }
}

fn unconfirmed(error: DbErr) -> Error {
    let error = to_error(error);
    match error.kind {
        Kind::ResourceExhausted => error,
        _ => Error { kind: Kind::Unavailable, ..error }
            .with_message("the store did not confirm the change; look before trying again"),
    }
}
