//! The store, and the only home of SeaORM.
//!
//! Query functions (one file a table) are the only place with SQL. They take
//! `&impl ConnectionTrait` to read and a [`Tx`] to write, and the organization
//! first wherever there is one, so that none can forget it.

mod engine;
mod entity;
mod error;
mod migrations;
mod query;
mod tx;

pub mod accounts;
pub mod api_keys;
pub mod audit_events;
pub mod grants;
pub mod invite_lists;
pub mod invites;
pub mod member_lists;
pub mod members;
pub mod organizations;
pub mod outbox;
pub mod requests;
pub mod settings;

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};
use sea_orm_migration::MigratorTrait;

pub use engine::Location;
pub use sea_orm::ConnectionTrait as Connection;
pub use tx::{Db, StatementObserver, Tx};

use crate::config;
use crate::error::{Error, Kind, Result};
use error::OrError;

/// The store. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    db: Db,
    writer: DatabaseConnection,
    /// Held as long as the store is open, by servers on SQLite.
    _server_lock: Option<File>,
}

/// How many connections a pool has, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSize {
    /// Open.
    pub open: u32,
    /// Of those, waiting for work.
    pub idle: u32,
}

/// Whether the store is opened by the server or by the command line beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opener {
    /// One server at a time on a SQLite file.
    Server,
    /// Any number.
    CommandLine,
}

impl Store {
    /// Opens the store; with SQLite, its directory and file are made if needed.
    /// Touches no schema: see [`Store::migrate`].
    ///
    /// # Errors
    /// If it cannot be reached, or another server has the SQLite file.
    pub async fn open(
        location: &Location,
        settings: &config::Database,
        opener: Opener,
        observer: Option<StatementObserver>,
    ) -> Result<Self> {
        let mut server_lock = None;
        if let Location::Sqlite(path) = location {
            engine::make_file(path)?;
            if opener == Opener::Server {
                server_lock = Some(engine::lock_file(path)?);
            }
        }
        let connections = engine::connect(location, settings).await?;
        Ok(Self {
            shared: Arc::new(Shared {
                db: Db { connection: connections.reader, observer },
                writer: connections.writer,
                _server_lock: server_lock,
            }),
        })
    }

    /// What reads run on.
    pub fn read(&self) -> &Db {
        &self.shared.db
    }

    /// Runs `change` in one transaction, the only way to write. It commits if
    /// `change` answers `Ok`, and nothing is acknowledged before the commit was.
    ///
    /// `change` runs again, from its beginning, when the transaction met another
    /// one or lost its connection before the commit was sent: it must have no
    /// effect but through its [`Tx`].
    ///
    /// # Errors
    /// What `change` answers; UNAVAILABLE when the store cannot be reached or
    /// the answer to the commit was lost; RESOURCE_EXHAUSTED with a full disk.
    pub async fn write<T, F>(&self, change: F) -> Result<T>
    where
        F: AsyncFn(&Tx) -> Result<T> + Send + Sync + 'static,
    {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(5))
            .with_max_delay(Duration::from_millis(250))
            .with_max_times(6)
            .with_jitter()
            .build();
        loop {
            let error = match self.begin().await {
                Ok(tx) => match change(&tx).await {
                    Ok(value) => return commit(tx).await.map(|()| value),
                    Err(error) => {
                        roll_back(tx).await;
                        error
                    }
                },
                Err(error) => error,
            };
            match pauses.next() {
                Some(pause) if error::worth_another_try(&error) => {
                    tokio::time::sleep(pause).await;
                }
                _ => return Err(error),
            }
        }
    }

    /// Brings the schema up to date and runs `then` in the same transaction, one
    /// replica after another. Where nothing is pending, only `then` changes anything.
    ///
    /// # Errors
    /// If a migration fails, with nothing changed; or what `then` answers.
    pub async fn migrate<T, F>(&self, then: F) -> Result<T>
    where
        F: AsyncFn(&Tx) -> Result<T> + Send + Sync + 'static,
    {
        self.write(async move |tx| {
            engine::lock_migrations(tx).await?;
            migrations::Migrator::up(&tx.transaction, None).await.or_error()?;
            then(tx).await
        })
        .await
    }

    /// The names of migrations that the store still lacks.
    ///
    /// # Errors
    /// If the store cannot be reached.
    pub async fn pending_migrations(&self) -> Result<Vec<String>> {
        let pending = migrations::Migrator::get_pending_migrations_read_only(&self.shared.writer)
            .await
            .or_error()?;
        Ok(pending.iter().map(|m| m.name().to_owned()).collect())
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// If it does not.
    pub async fn ping(&self) -> Result<()> {
        self.read().execute_unprepared("SELECT 1").await.or_error()?;
        Ok(())
    }

    /// Sizes of the pool that reads.
    pub fn pool_size(&self) -> PoolSize {
        let connection = &self.shared.db.connection;
        let (open, idle) = match connection.get_database_backend() {
            sea_orm::DbBackend::Sqlite => {
                let pool = connection.get_sqlite_connection_pool();
                (pool.size(), pool.num_idle())
            }
            _ => {
                let pool = connection.get_postgres_connection_pool();
                (pool.size(), pool.num_idle())
            }
        };
        PoolSize { open, idle: u32::try_from(idle).unwrap_or(u32::MAX) }
    }

    /// Closes every connection, after what runs has finished.
    ///
    /// # Errors
    /// If a connection does not close in order.
    pub async fn close(&self) -> Result<()> {
        self.shared.db.connection.clone().close().await.or_error()?;
        self.shared.writer.clone().close().await.or_error()
    }

    async fn begin(&self) -> Result<Tx> {
        let transaction =
            self.shared.writer.begin_with_options(engine::write_options()).await.or_error()?;
        Ok(Tx { transaction, observer: self.shared.db.observer.clone() })
    }
}

/// A commit that fails is never tried again: whether it happened is not known.
async fn commit(tx: Tx) -> Result<()> {
    tx.transaction.commit().await.map_err(|e| {
        let error = error::to_error(e);
        match error.kind {
            Kind::ResourceExhausted => error,
            _ => Error { kind: Kind::Unavailable, ..error }
                .with_message("the store did not confirm the change; look before trying again"),
        }
    })
}

/// The connection rolls back by itself when this fails; the log should know.
async fn roll_back(tx: Tx) {
    if let Err(error) = tx.transaction.rollback().await {
        tracing::debug!(%error, "rollback failed");
    }
}
