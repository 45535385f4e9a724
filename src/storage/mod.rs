//! The store: organizations, members, invites and all else, on SQLite or PostgreSQL.
//!
//! Only this module uses SeaORM. Only the query functions (one file per table) have SQL. They take
//! `&impl Connection` to read and a [`Tx`] to write. Their next parameter is the organization, so
//! that no query of an organization's rows can leave it out.

mod backup;
mod cache_versions;
mod connection;
mod disk_space;
mod entity;
mod error;
mod event_watch;
mod lease;
mod location;
mod migration_lock;
mod migrations;
mod organization_cache;
pub mod postgres;
mod restore;
mod snapshot;
mod sql;
pub mod sqlite;
mod statement;
mod statistics;
mod write;

pub mod accounts;
pub mod api_keys;
pub mod attributes;
pub mod audit_events;
pub mod domains;
pub mod event_data;
pub mod events;
pub mod grants;
pub mod invite_lists;
pub mod invites;
pub mod join_requests;
pub mod member_lists;
pub mod members;
pub mod memberships;
pub mod notices;
pub mod organization_lists;
pub mod organizations;
pub mod outbox;
pub mod previews;
pub mod removals;
pub mod requests;
pub mod sealed;
pub mod settings;
pub mod state;
pub mod transfer;
pub mod webhook_deliveries;
pub mod webhook_turns;
pub mod webhooks;

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{Instrument, info_span};

pub use backup::TableRows;
pub use connection::{Connection, Db, StatementObserver, Tx};
pub use error::StoreError;
pub use event_watch::EventFollower;
pub use location::Location;
pub use migrations::Schema;
pub use restore::{Replace, Restored, restore};
pub use snapshot::Snapshot;
pub use statement::{Row, Statement, StatementResult};
pub use statistics::Statistics;

pub use crate::change;
use crate::config;
use crate::domain::{Account, AccountId, OrganizationId, SecretHash, Timestamp};
use crate::error::Result;
use connection::{Readers, StoreState};
use event_watch::EventWatch;
use memberships::{MembershipKey, Memberships, StoredMembership};
use previews::{Preview, Previews};
use write::Writer;

pub use write::Change;

/// The store. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    db: Db,
    writer: Writer,
    previews: Previews,
    memberships: Memberships,
    event_watch: Arc<EventWatch>,
    /// How long a change may wait until it begins.
    max_wait: Duration,
    /// Held while the store is open, by servers on SQLite.
    _server_lock: Option<File>,
}

/// The number of connections, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSize {
    pub open: u32,
    /// Open connections that run no statement.
    pub idle: u32,
}

/// The kind of process that opens the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opener {
    /// A server, or a command that must not run while a server runs. A SQLite file can have one
    /// such process at a time.
    Server,
    /// Any other command. Any number of them may run while a server runs.
    CommandLine,
}

impl Store {
    /// Opens the store. On SQLite, this creates its directory and file if they are missing. It
    /// does not change the schema: see [`Store::migrate`].
    ///
    /// # Errors
    /// If it cannot be reached, or another server has the SQLite file open.
    pub async fn open(
        location: &Location,
        settings: &config::Database,
        opener: Opener,
        observer: Option<StatementObserver>,
    ) -> Result<Self> {
        let mut server_lock = None;
        if let Location::Sqlite(path) = location {
            location::make_file(path)?;
            if opener == Opener::Server {
                server_lock = Some(location::lock_file(path)?);
            }
        }
        let state = Arc::new(StoreState { observer, ..StoreState::default() });
        let (readers, writer) = location::connect(location, settings, &state).await?;
        Ok(Self {
            shared: Arc::new(Shared {
                db: Db { engine: readers, state },
                writer,
                previews: Previews::default(),
                memberships: Memberships::default(),
                event_watch: Arc::new(EventWatch::new()),
                max_wait: settings.acquire_timeout,
                _server_lock: server_lock,
            }),
        })
    }

    /// Runs reads.
    pub fn read(&self) -> &Db {
        &self.shared.db
    }

    /// Runs reads that all see the store at one moment.
    ///
    /// # Errors
    /// That of `read`, or if the store cannot be read.
    pub async fn read_snapshot<T>(
        &self,
        read: impl AsyncFnOnce(&Snapshot) -> Result<T>,
    ) -> Result<T> {
        let snapshot = Snapshot::begin(self.read()).await?;
        let value = read(&snapshot).await?;
        snapshot.end().await?;
        Ok(value)
    }

    /// The preview of the live invite with this token.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn preview(&self, hash: &SecretHash, now: Timestamp) -> Result<Option<Arc<Preview>>> {
        self.shared.previews.find(self.read(), hash, now).await
    }

    /// The current membership of an account at `now`, as of the last commit of this process or
    /// later.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn membership(
        &self,
        organization: OrganizationId,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Option<StoredMembership>> {
        self.shared.memberships.find(self.read(), organization, account, now).await
    }

    /// As [`Store::membership`], for an account that is already read, such as the caller's.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn membership_of(
        &self,
        organization: OrganizationId,
        account: &Account,
        now: Timestamp,
    ) -> Result<Option<StoredMembership>> {
        self.shared.memberships.find_of(self.read(), organization, account, now).await
    }

    /// As [`Store::membership`], for at most [`memberships::MAX_KEYS`] keys.
    ///
    /// # Errors
    /// If the store cannot be read, or there are more keys.
    pub async fn memberships(
        &self,
        keys: &[MembershipKey],
        now: Timestamp,
    ) -> Result<HashMap<MembershipKey, StoredMembership>> {
        self.shared.memberships.find_all(self.read(), keys, now).await
    }

    /// Follows the events that become readable from now on, of this and of other processes.
    pub fn follow_events(&self) -> EventFollower {
        self.shared.event_watch.follow(self.read())
    }

    /// Runs a change in a transaction; the only way to write, with
    /// [`write_in`](Store::write_in). It commits if the change returns `Ok`, and returns
    /// after the commit.
    ///
    /// The change runs again from its beginning if the transaction conflicts with another one
    /// or loses its connection before the commit is sent, or if a change in the same
    /// transaction fails. It must have no effect except through its [`Tx`], and must not wait
    /// for anything else.
    ///
    /// # Errors
    /// The error of the change; UNAVAILABLE if the store cannot be reached or the result of the
    /// commit is lost; RESOURCE_EXHAUSTED if the disk is full.
    pub async fn write<T: Send + 'static>(&self, change: Change<T>) -> Result<T> {
        self.write_change(None, change).await
    }

    /// As [`Store::write`], for a change whose first statement locks this organization's row. The
    /// changes of an organization run one after another, and several may share a transaction.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn write_in<T: Send + 'static>(
        &self,
        organization: OrganizationId,
        change: Change<T>,
    ) -> Result<T> {
        self.write_change(Some(organization), change).await
    }

    async fn write_change<T: Send + 'static>(
        &self,
        organization: Option<OrganizationId>,
        change: Change<T>,
    ) -> Result<T> {
        let state = &self.shared.db.state;
        let before = self.keys_version();
        let organization = organization.map(Into::into);
        let span = info_span!(
            target: "otel",
            "transaction",
            otel.kind = "client",
            db.system.name = self.shared.writer.engine(),
        );
        let write = self.shared.writer.write(organization, change, self.shared.max_wait);
        let result = write.instrument(span).await;
        state.disk_space.changed(&result);
        if result.is_ok() {
            self.shared.event_watch.committed();
        }
        if self.keys_version() != before {
            // Incremented again: a reader may have read an old key after the first time, but before
            // the commit.
            state.keys_version.fetch_add(1, Ordering::SeqCst);
        }
        result
    }

    /// A number that changes when this process changes a key or an account. Rows of these tables
    /// that were cached before are then outdated.
    pub fn keys_version(&self) -> u64 {
        self.shared.db.state.keys_version.load(Ordering::SeqCst)
    }

    /// Runs pending migrations and then `then` in one transaction, one replica after another.
    ///
    /// # Errors
    /// If the schema is newer than this program or a migration fails, with nothing changed;
    /// or the error of `then`.
    pub async fn migrate<T: Send + 'static>(&self, then: Change<T>) -> Result<T> {
        self.write_alone(change!(async move |tx: &Tx| {
            migrations::up(tx).await?;
            then.run(tx).await
        }))
        .await
    }

    /// Creates the schema of a store that has none. Any other schema stays as it is: a server
    /// of another version may use it.
    ///
    /// # Errors
    /// If a migration fails, with nothing changed.
    pub async fn make_schema(&self) -> Result<()> {
        self.write_alone(change!(async |tx: &Tx| match migrations::schema(tx).await? {
            Schema::Missing => migrations::up(tx).await,
            Schema::Current | Schema::Behind(_) | Schema::Ahead(_) => Ok(()),
        }))
        .await
    }

    /// As [`Store::write`], while no other replica migrates.
    async fn write_alone<T: Send + 'static>(&self, change: Change<T>) -> Result<T> {
        let mut wait = migration_lock::Wait::begin();
        loop {
            let change = change.clone();
            let made = self
                .write(change!(async move |tx: &Tx| {
                    if !migration_lock::try_lock(tx).await? {
                        return Ok(None);
                    }
                    change.run(tx).await.map(Some)
                }))
                .await?;
            match made {
                Some(made) => return Ok(made),
                None => wait.pause(self.read()).await,
            }
        }
    }

    /// The schema of the store.
    ///
    /// # Errors
    /// If the store cannot be reached.
    pub async fn schema(&self) -> Result<Schema> {
        migrations::schema(self.read()).await
    }

    /// Checks that the store has the schema that this program needs.
    ///
    /// # Errors
    /// FAILED_PRECONDITION with what to do, or if the store cannot be reached.
    pub async fn require_current_schema(&self) -> Result<()> {
        self.schema().await?.require_current()
    }

    /// Logs a warning if the database acknowledges commits that it may lose.
    ///
    /// # Errors
    /// If the store cannot be reached.
    pub async fn warn_of_lost_commits(&self) -> Result<()> {
        match &self.shared.db.engine {
            Readers::Postgres(readers) => Ok(readers.pool().warn_of_lost_commits().await?),
            Readers::Sqlite(_) => Ok(()),
        }
    }

    /// Checks that changes are possible now.
    ///
    /// # Errors
    /// If not.
    pub async fn check_writable(&self) -> Result<()> {
        let disk_space = &self.shared.db.state.disk_space;
        if disk_space.is_full() {
            // Only a change that needs disk space shows that there is some.
            let filler = "filler ".repeat(1500);
            let write = change!(async move |tx: &Tx| {
                settings::set(tx, settings::DISK_SPACE_TEST, &filler).await
            });
            self.write(write).await?;
            disk_space.has_space();
        }
        match &self.shared.writer {
            Writer::Postgres(writer) => Ok(writer.pool().check_writable().await?),
            // This checks the thread that writes, the files and SQLite's lock; it writes
            // nothing to the disk.
            Writer::Sqlite(_) => self.write(change!(async |_: &Tx| Ok(()))).await,
        }
    }

    /// The metrics of the store: how long it takes, and why it fails.
    pub fn statistics(&self) -> &Statistics {
        &self.shared.db.state.statistics
    }

    /// The size of SQLite's log.
    pub fn log_bytes(&self) -> Option<u64> {
        match &self.shared.db.engine {
            Readers::Postgres(_) => None,
            Readers::Sqlite(readers) => readers.log_bytes(),
        }
    }

    /// The size of the pool for reads.
    pub fn pool_size(&self) -> PoolSize {
        match &self.shared.db.engine {
            Readers::Postgres(readers) => readers.pool().size(),
            Readers::Sqlite(readers) => readers.size(),
        }
    }

    /// On SQLite, lets the writes of this store overwrite the data that they delete or replace.
    /// Otherwise this data stays in the file until its space is used again.
    ///
    /// # Errors
    /// If the store is closed.
    pub fn overwrite_deleted(&self) -> Result<()> {
        match &self.shared.writer {
            Writer::Postgres(_) => Ok(()),
            Writer::Sqlite(writer) => Ok(writer.connection().overwrite_deleted()?),
        }
    }

    /// Runs very many changes. On SQLite, their commits do not wait for the disk, and SQLite writes
    /// its log into the file less often. If the system fails meanwhile, the last changes may be
    /// lost. When this returns `Ok`, all of them are on the disk.
    ///
    /// # Errors
    /// That of `changes`, or if the store cannot be written.
    pub async fn in_bulk<T>(&self, changes: impl Future<Output = Result<T>>) -> Result<T> {
        let Writer::Sqlite(writer) = &self.shared.writer else { return changes.await };
        writer.connection().begin_bulk()?;
        let changed = changes.await;
        writer.connection().end_bulk()?;
        let value = changed?;
        // This commit waits until it and everything before it in the log are on the disk.
        let last = change!(async |tx: &Tx| settings::set(tx, settings::DISK_SPACE_TEST, "").await);
        self.write(last).await?;
        Ok(value)
    }

    /// Writes SQLite's log into the file and truncates it, so that no earlier version of a row is
    /// left in it. For commands: it waits for running reads and writes of other processes, and must
    /// not run during changes of this store. Returns false if these reads and writes did not end in
    /// time.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn truncate_log(&self) -> Result<bool> {
        match &self.shared.writer {
            Writer::Postgres(_) => Ok(true),
            Writer::Sqlite(writer) => Ok(writer.connection().truncate_log()?),
        }
    }

    /// Copies a SQLite store, as it is at one moment, into an empty file, and checks the copy. A
    /// server may use the store meanwhile. The caller syncs the file. `progress` gets the
    /// percentage that is copied.
    ///
    /// # Errors
    /// FAILED_PRECONDITION on PostgreSQL; that of `progress`; or if the store cannot be read, the
    /// file cannot be written, or the copy is not equal to the store.
    pub fn back_up(
        &self,
        to: &Path,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<TableRows> {
        match &self.shared.db.engine {
            Readers::Sqlite(readers) => Ok(TableRows(readers.copy(to, progress)?)),
            Readers::Postgres(_) => Err(backup::not_sqlite()),
        }
    }

    /// Closes all connections after their running statements.
    ///
    /// # Errors
    /// If a connection cannot be closed.
    pub async fn close(&self) -> Result<()> {
        match &self.shared.db.engine {
            Readers::Postgres(readers) => readers.pool().close().await?,
            Readers::Sqlite(readers) => readers.close()?,
        }
        match &self.shared.writer {
            // Reads and writes share one pool, which is already closed.
            Writer::Postgres(_) => Ok(()),
            Writer::Sqlite(writer) => Ok(writer.close().await?),
        }
    }
}
