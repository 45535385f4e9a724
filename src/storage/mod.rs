//! The store, and the only home of SeaORM.
//!
//! Query functions (one file a table) are the only place with SQL. They take
//! `&impl ConnectionTrait` to read and a [`Tx`] to write, and the organization
//! first wherever there is one, so that none can forget it.

mod engine;
mod entity;
mod error;
mod failure;
mod migrations;
pub mod postgres;
mod query;
mod room;
pub mod sqlite;
mod text;
mod tx;
mod write;

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
pub mod previews;
pub mod removals;
pub mod requests;
pub mod settings;

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub use engine::Location;
pub use sea_orm::ConnectionTrait as Connection;
pub use tx::{Db, StatementObserver, Tx};

use crate::config;
use crate::domain::{SecretHash, Timestamp};
use crate::error::Result;
use error::OrError;
use previews::{Preview, Previews};
use tx::{Readers, Watching};
use write::Writer;

/// The store. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    db: Db,
    writer: Writer,
    previews: Previews,
    /// How long a change may wait for its turn.
    patience: Duration,
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
        let watching = Watching { observer, ..Watching::default() };
        let (readers, writer) = engine::connect(location, settings, &watching).await?;
        Ok(Self {
            shared: Arc::new(Shared {
                db: Db { engine: readers, watching },
                writer,
                previews: Previews::default(),
                patience: settings.acquire_timeout,
                _server_lock: server_lock,
            }),
        })
    }

    /// What reads run on.
    pub fn read(&self) -> &Db {
        &self.shared.db
    }

    /// What the live invite with this token leads to; no more of it than that.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn preview(&self, hash: &SecretHash, now: Timestamp) -> Result<Option<Arc<Preview>>> {
        self.shared.previews.find(self.read(), hash, now).await
    }

    /// Runs `change` in one transaction, the only way to write. It commits if
    /// `change` answers `Ok`, and nothing is acknowledged before the commit was.
    ///
    /// `change` runs again, from its beginning, when the transaction met another
    /// one or lost its connection before the commit was sent: it must have no
    /// effect but through its [`Tx`], and wait for nothing else.
    ///
    /// # Errors
    /// What `change` answers; UNAVAILABLE when the store cannot be reached or
    /// the answer to the commit was lost; RESOURCE_EXHAUSTED with a full disk.
    pub async fn write<T, F>(&self, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: AsyncFn(&Tx) -> Result<T> + Send + Sync + 'static,
    {
        let watching = &self.shared.db.watching;
        let before = self.keys_version();
        let made = self.shared.writer.write(change, watching, self.shared.patience).await;
        watching.room.saw(&made);
        if self.keys_version() != before {
            // Once more, for whoever has read a key since, but before the commit.
            watching.keys_version.fetch_add(1, Ordering::SeqCst);
        }
        made
    }

    /// Another number whenever this process has changed a key: what was read of keys
    /// before is not to be relied on.
    pub fn keys_version(&self) -> u64 {
        self.shared.db.watching.keys_version.load(Ordering::SeqCst)
    }

    /// Brings the schema up to date and runs `then` in the same transaction, one
    /// replica after another. Where nothing is pending, only `then` changes anything.
    ///
    /// # Errors
    /// If a migration fails, with nothing changed; or what `then` answers.
    pub async fn migrate<T, F>(&self, then: F) -> Result<T>
    where
        T: Send + 'static,
        F: AsyncFn(&Tx) -> Result<T> + Send + Sync + 'static,
    {
        self.write(async move |tx| {
            engine::lock_migrations(tx).await?;
            migrations::up(tx).await?;
            then(tx).await
        })
        .await
    }

    /// The names of migrations that the store still lacks.
    ///
    /// # Errors
    /// If the store cannot be reached.
    pub async fn pending_migrations(&self) -> Result<Vec<String>> {
        migrations::pending(self.read()).await
    }

    /// Whether changes can be made now.
    ///
    /// # Errors
    /// If they cannot.
    pub async fn check_writable(&self) -> Result<()> {
        let room = &self.shared.db.watching.room;
        if room.is_full() {
            // Only a change that needs room shows that there is some.
            let filler = "room ".repeat(2000);
            self.write(async move |tx| settings::set(tx, settings::ROOM, &filler).await).await?;
            room.has_room();
        }
        match &self.shared.writer {
            Writer::Postgres(pool) => pool.check_writable().await.or_error(),
            // Through the thread that writes, with a look at the files and SQLite's lock;
            // nothing reaches the disk.
            Writer::Sqlite(_) => self.write(async |_| Ok(())).await,
        }
    }

    /// Sizes of the pool that reads.
    pub fn pool_size(&self) -> PoolSize {
        match &self.shared.db.engine {
            Readers::Postgres(readers) => readers.pool().size(),
            Readers::Sqlite(readers) => readers.size(),
        }
    }

    /// Closes every connection, after what runs has finished.
    ///
    /// # Errors
    /// If a connection does not close in order.
    pub async fn close(&self) -> Result<()> {
        match &self.shared.db.engine {
            Readers::Postgres(readers) => readers.pool().close().await.or_error()?,
            Readers::Sqlite(readers) => readers.close().or_error()?,
        }
        match &self.shared.writer {
            // The same pool.
            Writer::Postgres(_) => Ok(()),
            Writer::Sqlite(writer) => writer.close().await.or_error(),
        }
    }
}
