//! The connections: exclusive ones for transactions, and shared ones for short reads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use deadpool::managed::{self, Manager, Metrics, Object, PoolError, RecycleError, RecycleResult};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, timeout};

use super::address::Address;
use super::connection::Connection;
use super::epoch::RAISE_EPOCH;
use super::preparing::Preparing;
use crate::config;
use crate::storage::PoolSize;
use crate::storage::error::{Cause, StoreError};
use crate::storage::statistics::{Statistics, observe};

/// Of every `SHARE` connections, one is shared by short reads, and one is for lists. A pool with
/// fewer connections has no shared ones.
const SHARE: usize = 4;

/// The time in which a result must arrive after PostgreSQL's own time limit.
const GRACE: Duration = Duration::from_secs(1);

/// Connections to PostgreSQL. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Connections>);

struct Connections {
    changes: managed::Pool<PoolManager>,
    /// `None` if there are too few connections: lists then use the connections for changes.
    lists: Option<managed::Pool<PoolManager>>,
    shared: Box<[SharedSlot]>,
    next_shared: AtomicUsize,
    connector: Arc<Connector>,
    begin: [Arc<str>; 2],
    statistics: Statistics,
    /// The channel closes when the last connection has ended.
    all_closed: Mutex<mpsc::Receiver<()>>,
}

/// What a connection is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Change,
    List,
}

impl Pool {
    /// Opens connections as they are needed.
    ///
    /// # Errors
    /// No error is known; the signature of the pool's builder has one.
    pub fn new(
        address: Address,
        settings: &config::Database,
        statistics: Statistics,
    ) -> Result<Self, StoreError> {
        let (open, all_closed) = mpsc::channel(1);
        let most = usize::try_from(settings.max_connections).unwrap_or(usize::MAX).max(1);
        let connector = Arc::new(Connector {
            address,
            acquire_timeout: settings.acquire_timeout,
            max_wait: settings.statement_timeout.saturating_add(GRACE),
            preparing: Arc::new(Preparing::new(settings.prepared_statements)),
            open: RwLock::new(Some(open)),
        });
        let pool = |most| {
            managed::Pool::builder(PoolManager(Arc::clone(&connector)))
                .max_size(most)
                .runtime(deadpool::Runtime::Tokio1)
                .wait_timeout(Some(settings.acquire_timeout))
                .build()
                .map_err(|error| StoreError::fault(error.to_string()))
        };
        let lists = if most < 2 { 0 } else { (most / SHARE).max(1) };
        let changes = most - most / SHARE - lists;
        Ok(Self(Arc::new(Connections {
            changes: pool(changes)?,
            lists: if lists == 0 { None } else { Some(pool(lists)?) },
            shared: (0..most / SHARE).map(|_| SharedSlot::default()).collect(),
            next_shared: AtomicUsize::new(0),
            begin: [begin("BEGIN", settings), begin("BEGIN READ ONLY", settings)],
            connector,
            statistics,
            all_closed: Mutex::new(all_closed),
        })))
    }

    /// The longest wait for a result; after it the connection is treated as broken.
    pub(super) fn max_wait(&self) -> Duration {
        self.0.connector.max_wait
    }

    /// The statements that begin a transaction and set its time limits. They are set in each
    /// transaction: a pooler rejects startup parameters and may give the next transaction
    /// another server process.
    pub(super) fn begin(&self, purpose: Purpose) -> Arc<str> {
        let [change, list] = &self.0.begin;
        Arc::clone(match purpose {
            Purpose::Change => change,
            Purpose::List => list,
        })
    }

    /// A connection for one transaction of changes.
    ///
    /// # Errors
    /// If none is free in time.
    pub async fn exclusive_for_change(&self) -> Result<Exclusive, StoreError> {
        self.exclusive(Purpose::Change).await
    }

    /// A connection for one transaction.
    ///
    /// # Errors
    /// If none is free in time.
    pub(super) async fn exclusive(&self, purpose: Purpose) -> Result<Exclusive, StoreError> {
        let Connections { changes, lists, connector, statistics, .. } = &*self.0;
        connector.preparing.check()?;
        let pool = match (purpose, lists) {
            (Purpose::List, Some(lists)) => lists,
            _ => changes,
        };
        let started = std::time::Instant::now();
        let object = pool.get().await;
        let waits = match purpose {
            Purpose::Change => &statistics.change_waits,
            Purpose::List => &statistics.list_waits,
        };
        observe(waits, started);
        let object = object.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(_) => StoreError::timed_out(),
            PoolError::Closed => StoreError::closed(),
            other => StoreError::fault(other.to_string()),
        });
        let object = object.inspect_err(|error| {
            if purpose == Purpose::Change && error.cause == Cause::Crowded {
                self.free_slots();
            }
        })?;
        let max_wait = connector.max_wait;
        Ok(Exclusive { object: Some(object), busy: None, is_running: false, max_wait })
    }

    /// Closes idle connections for reads, so that changes can open theirs.
    fn free_slots(&self) {
        let Connections { changes, lists, shared, .. } = &*self.0;
        if let Some(lists) = lists {
            lists.retain(|_, _| false);
        }
        if changes.status().size == 0 {
            shared.iter().for_each(SharedSlot::close);
        }
    }

    pub(super) fn connector(&self) -> &Connector {
        &self.0.connector
    }

    /// The number of connections.
    pub fn size(&self) -> PoolSize {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let Connections { changes, lists, shared, .. } = &*self.0;
        let mut exclusive = changes.status();
        if let Some(lists) = lists.as_ref().map(managed::Pool::status) {
            exclusive.size += lists.size;
            exclusive.available += lists.available;
        }
        let shared: Vec<_> = shared.iter().filter_map(SharedSlot::open).collect();
        // One reference is here and one in its slot.
        let idle = shared.iter().filter(|one| Arc::strong_count(one) == 2).count();
        PoolSize {
            open: count(exclusive.size + shared.len()),
            idle: count(exclusive.available + idle),
        }
    }

    /// Closes all connections, each after its running statement.
    ///
    /// # Errors
    /// If one is in use for longer than `acquire_timeout`.
    pub async fn close(&self) -> Result<(), StoreError> {
        let Connections { changes, lists, shared, all_closed, connector, .. } = &*self.0;
        connector.stop();
        changes.close();
        lists.iter().for_each(managed::Pool::close);
        shared.iter().for_each(SharedSlot::close);
        let mut all_closed = all_closed.lock().await;
        match timeout(connector.acquire_timeout, all_closed.recv()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(StoreError::timed_out()),
        }
    }

    /// The next connection for short reads. `None` if the pool has no shared connections.
    pub(super) async fn shared(&self) -> Option<Result<Arc<Connection>, StoreError>> {
        let Connections { shared, next_shared, connector, .. } = &*self.0;
        let turn = next_shared.fetch_add(1, Ordering::Relaxed);
        let slot = shared.get(turn.checked_rem(shared.len())?)?;
        if let Err(error) = connector.preparing.check() {
            return Some(Err(error));
        }
        match slot.connection(connector).await {
            // Another open shared connection is used; if there is none, the caller uses an
            // exclusive one.
            Err(error) if error.cause == Cause::Crowded => {
                shared.iter().find_map(SharedSlot::open).map(Ok)
            }
            connection => Some(connection),
        }
    }

    /// The deadline for a connection that is requested now.
    pub(super) fn until(&self) -> Instant {
        Instant::now() + self.0.connector.acquire_timeout
    }
}

/// The statements that begin a transaction and set its time limits.
fn begin(begin: &str, settings: &config::Database) -> Arc<str> {
    let config::Database { lock_timeout, statement_timeout, idle_in_transaction_timeout, .. } =
        settings;
    let [lock, statement, idle] =
        [lock_timeout, statement_timeout, idle_in_transaction_timeout].map(Duration::as_millis);
    format!(
        "{begin}; SET LOCAL lock_timeout = {lock}; SET LOCAL statement_timeout = {statement}; \
         SET LOCAL idle_in_transaction_session_timeout = {idle}"
    )
    .into()
}

/// Opens connections.
pub(super) struct Connector {
    address: Address,
    /// The longest wait for a connection.
    pub(super) acquire_timeout: Duration,
    /// The longest wait for a result.
    max_wait: Duration,
    pub(super) preparing: Arc<Preparing>,
    /// Each connection holds a clone until it has ended. `None` after the pool is closed.
    open: RwLock<Option<mpsc::Sender<()>>>,
}

impl Connector {
    pub(super) async fn open(&self) -> Result<Arc<Connection>, StoreError> {
        // Boxed: every statement may open a connection, so its future would otherwise contain this
        // one.
        Box::pin(self.open_and_prepare()).await
    }

    async fn open_and_prepare(&self) -> Result<Arc<Connection>, StoreError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner).clone();
        let held = open.ok_or_else(StoreError::closed)?;
        let preparing = Arc::clone(&self.preparing);
        let opened =
            Connection::open_holding(&self.address, self.acquire_timeout, preparing, held).await?;
        // The epoch must be current before this connection writes its first event.
        match timeout(self.acquire_timeout, opened.command(RAISE_EPOCH)).await {
            Ok(raised) => raised.map(|()| Arc::new(opened)),
            Err(_) => Err(StoreError::timed_out()),
        }
    }

    fn stop(&self) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Opens and checks the connections of a pool.
struct PoolManager(Arc<Connector>);

impl Manager for PoolManager {
    type Type = Arc<Connection>;
    type Error = StoreError;

    async fn create(&self) -> Result<Arc<Connection>, StoreError> {
        self.0.open().await
    }

    async fn recycle(&self, one: &mut Arc<Connection>, _: &Metrics) -> RecycleResult<StoreError> {
        // The connection notices its end without a query.
        match one.is_closed() {
            true => Err(RecycleError::message("it has ended")),
            false => Ok(()),
        }
    }
}

/// A shared connection, opened at its first use and again after it has ended.
#[derive(Default)]
struct SharedSlot {
    current: RwLock<Option<Arc<Connection>>>,
    opening: Mutex<()>,
}

impl SharedSlot {
    fn open(&self) -> Option<Arc<Connection>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|connection| !connection.is_closed()).cloned()
    }

    async fn connection(&self, connector: &Connector) -> Result<Arc<Connection>, StoreError> {
        if let Some(open) = self.open() {
            return Ok(open);
        }
        let opening = timeout(connector.acquire_timeout, self.opening.lock()).await;
        let _opening = opening.map_err(|_| StoreError::timed_out())?;
        if let Some(open) = self.open() {
            return Ok(open);
        }
        let new = connector.open().await?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&new));
        Ok(new)
    }

    fn close(&self) {
        self.current.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A connection for one transaction. Earlier transactions may still wait for the result of
/// their COMMIT or ROLLBACK on it.
pub struct Exclusive {
    /// `None` after it is returned to the pool.
    object: Option<Object<PoolManager>>,
    /// `Some` while a transaction must end before the next one may use the connection; true once
    /// its BEGIN is answered.
    busy: Option<Arc<AtomicBool>>,
    /// Whether statements of that transaction have no result yet.
    is_running: bool,
    max_wait: Duration,
}

impl Exclusive {
    /// The connection.
    pub(super) fn connection(&self) -> Result<&Arc<Connection>, StoreError> {
        self.object.as_deref().ok_or_else(StoreError::closed)
    }

    /// Sets whether a transaction runs on it from now on.
    pub(super) fn set_busy(&mut self, busy: Option<Arc<AtomicBool>>) {
        self.busy = busy;
    }

    /// Marks the transaction as dropped; `is_running` if statements have no result yet.
    pub(super) fn give_up(&mut self, is_running: bool) {
        self.is_running = is_running;
    }
}

impl Drop for Exclusive {
    /// Rolls back a transaction that was dropped, before another one uses the connection. If
    /// a statement runs, it is cancelled, which ends the connection.
    fn drop(&mut self) {
        let (Some(object), Some(has_begun)) = (self.object.take(), self.busy.take()) else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else { return drop(Object::take(object)) };
        let (max_wait, is_running) = (self.max_wait, self.is_running);
        runtime.spawn(async move {
            // Until its BEGIN is answered, the running statement may belong to the previous
            // transaction.
            if is_running && has_begun.load(Ordering::Relaxed) {
                object.cancel().await;
            } else if !matches!(timeout(max_wait, object.command("ROLLBACK")).await, Ok(Ok(()))) {
                tracing::debug!("a rollback failed: the connection is closed, which rolls back");
                object.cut();
            }
        });
    }
}
