//! The connections: some for one user at a time, some that short reads share.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use deadpool::managed::{self, Manager, Metrics, Object, PoolError, RecycleError, RecycleResult};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::address::Address;
use super::connection::Connection;
use super::errors::{loses_statements, unusable};
use super::transaction::Transaction;
use super::turns::{Turn, Turns};
use crate::config;
use crate::storage::PoolSize;
use crate::storage::error::{Cause, StoreError};
use crate::storage::statement::{Statement, StatementResult};

/// One in so many connections is shared by short reads, and one is for lists; fewer have
/// none that is shared.
const SHARE: usize = 4;

/// One organization's changes have one in so many of the connections for changes.
const ORGANIZATION_SHARE: usize = 2;

/// How much longer than PostgreSQL's own bound an answer may take to arrive.
const GRACE: Duration = Duration::from_secs(1);

/// Connections to PostgreSQL. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Connections>);

struct Connections {
    changes: managed::Pool<Opening>,
    /// None where there are too few connections: lists have those of changes then.
    lists: Option<managed::Pool<Opening>>,
    shared: Box<[Lane]>,
    next: AtomicUsize,
    turns: Arc<Turns>,
    opener: Arc<Opener>,
    begin: [Arc<str>; 2],
    /// Ends when the last connection has.
    all_closed: Mutex<mpsc::Receiver<()>>,
}

/// What a connection is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Change,
    List,
}

impl Pool {
    /// Opens connections as they are needed.
    ///
    /// # Errors
    /// None that is known; the pool's builder has one.
    pub fn new(address: Address, settings: &config::Database) -> Result<Self, StoreError> {
        let (open, all_closed) = mpsc::channel(1);
        let most = usize::try_from(settings.max_connections).unwrap_or(usize::MAX).max(1);
        let opener = Arc::new(Opener {
            address,
            acquire_timeout: settings.acquire_timeout,
            patience: settings.statement_timeout.saturating_add(GRACE),
            loses_statements: Arc::default(),
            open: RwLock::new(Some(open)),
        });
        let pool = |most| {
            managed::Pool::builder(Opening(Arc::clone(&opener)))
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
            shared: (0..most / SHARE).map(|_| Lane::default()).collect(),
            next: AtomicUsize::new(0),
            turns: Turns::new(changes.div_ceil(ORGANIZATION_SHARE)),
            begin: [begin("BEGIN", settings), begin("BEGIN READ ONLY", settings)],
            opener,
            all_closed: Mutex::new(all_closed),
        })))
    }

    /// How long an answer may take before the connection counts as dead.
    pub(super) fn patience(&self) -> Duration {
        self.0.opener.patience
    }

    /// What begins a transaction, with its bounds. They are set with each transaction
    /// and for it alone: a pooler takes no startup parameters and may give the next
    /// transaction another server process.
    pub(super) fn begin(&self, purpose: Purpose) -> Arc<str> {
        let [change, list] = &self.0.begin;
        Arc::clone(match purpose {
            Purpose::Change => change,
            Purpose::List => list,
        })
    }

    /// A connection for one alone, after a turn of the organization that it locks.
    ///
    /// # Errors
    /// If there is none in time.
    pub(super) async fn exclusive(
        &self,
        purpose: Purpose,
        organization: Option<Uuid>,
    ) -> Result<Exclusive, StoreError> {
        let Connections { changes, lists, turns, opener, .. } = &*self.0;
        opener.check()?;
        let turn = match organization {
            Some(organization) => Some(turns.take(organization).await),
            None => None,
        };
        let pool = match (purpose, lists) {
            (Purpose::List, Some(lists)) => lists,
            _ => changes,
        };
        let object = pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(_) => StoreError::timed_out(),
            PoolError::Closed => StoreError::closed(),
            other => StoreError::fault(other.to_string()),
        });
        let object = object.inspect_err(|error| {
            if purpose == Purpose::Change && error.cause == Cause::Crowded {
                self.make_room();
            }
        })?;
        let patience = opener.patience;
        Ok(Exclusive { object: Some(object), busy: None, is_running: false, patience, turn })
    }

    /// Gives PostgreSQL's connection slots back for changes to have them.
    fn make_room(&self) {
        let Connections { changes, lists, shared, .. } = &*self.0;
        if let Some(lists) = lists {
            lists.retain(|_, _| false);
        }
        if changes.status().size == 0 {
            shared.iter().for_each(Lane::close);
        }
    }

    /// Whether changes can be made: a connection for changes is available, and leads
    /// to a server that accepts them.
    ///
    /// # Errors
    /// If they cannot.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        if self.0.opener.check().is_err() {
            self.check_prepared_statements().await?;
        }
        let until = Instant::now() + self.0.opener.acquire_timeout;
        let transaction = Transaction::of_change(self, until);
        let asked = "SELECT current_setting('transaction_read_only') AS read_only";
        let result = transaction.run(Statement::new(asked, Vec::new())).await;
        transaction.rollback().await?;
        match setting(result?)?.as_str() {
            "off" => Ok(()),
            _ => Err(StoreError::away("PostgreSQL accepts no changes now")),
        }
    }

    /// Whether the server can be worked with: its encoding, and what is in between.
    ///
    /// # Errors
    /// If not, with the reason.
    pub async fn check_server(&self) -> Result<(), StoreError> {
        // First: where slots are few, a change needs one more than anything else.
        self.check_writable().await?;
        let until = Instant::now() + self.0.opener.acquire_timeout;
        let asked = "SELECT current_setting('server_encoding') AS encoding";
        let asked = Statement::new(asked, Vec::new());
        let encoding = setting(Transaction::of_list(self, until).run_alone(asked).await?)?;
        if encoding != "UTF8" {
            let why = "the database's encoding must be UTF8 and is";
            return Err(unusable(format!("{why} {encoding}: create it with ENCODING 'UTF8'")));
        }
        self.check_prepared_statements().await
    }

    /// Finds out whether a pooler loses prepared statements: what one connection has
    /// prepared is used while another one, in a transaction, has the server process that
    /// did it.
    async fn check_prepared_statements(&self) -> Result<(), StoreError> {
        let opener = &self.0.opener;
        opener.loses_statements.store(false, Ordering::Relaxed);
        let probe = async {
            let (one, other) = (opener.open().await?, opener.open().await?);
            let busy = other.command("BEGIN");
            let tried = one.try_prepared(busy).await;
            other.command("ROLLBACK").await?;
            tried
        };
        match timeout(opener.acquire_timeout, probe).await {
            Ok(Err(error)) if error.cause == Cause::StatementLost => Err(error),
            // Slots for two more may be lacking, and a pooler may have one process only.
            // The first failure tells then.
            Ok(Err(error)) => {
                tracing::debug!(%error, "not known whether prepared statements last");
                Ok(())
            }
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// How many there are.
    pub fn size(&self) -> PoolSize {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let Connections { changes, lists, shared, .. } = &*self.0;
        let mut exclusive = changes.status();
        if let Some(lists) = lists.as_ref().map(managed::Pool::status) {
            exclusive.size += lists.size;
            exclusive.available += lists.available;
        }
        let shared: Vec<_> = shared.iter().filter_map(Lane::open).collect();
        // One is here, one in its place.
        let idle = shared.iter().filter(|one| Arc::strong_count(one) == 2).count();
        PoolSize {
            open: count(exclusive.size + shared.len()),
            idle: count(exclusive.available + idle),
        }
    }

    /// Closes them all, each after what runs on it.
    ///
    /// # Errors
    /// If one is in use for longer than one would have waited for it.
    pub async fn close(&self) -> Result<(), StoreError> {
        let Connections { changes, lists, shared, all_closed, opener, .. } = &*self.0;
        opener.stop();
        changes.close();
        lists.iter().for_each(managed::Pool::close);
        shared.iter().for_each(Lane::close);
        let mut all_closed = all_closed.lock().await;
        match timeout(opener.acquire_timeout, all_closed.recv()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(StoreError::timed_out()),
        }
    }

    /// A connection for short reads, in turn. None where there is none.
    pub(super) async fn shared(&self) -> Option<Result<Arc<Connection>, StoreError>> {
        let Connections { shared, next, opener, .. } = &*self.0;
        let turn = next.fetch_add(1, Ordering::Relaxed);
        let lane = shared.get(turn.checked_rem(shared.len())?)?;
        if let Err(error) = opener.check() {
            return Some(Err(error));
        }
        match lane.connection(opener).await {
            // Another one will do, or one of those for changes.
            Err(error) if error.cause == Cause::Crowded => {
                shared.iter().find_map(Lane::open).map(Ok)
            }
            connection => Some(connection),
        }
    }

    /// When a connection that is asked for now must be there.
    pub(super) fn until(&self) -> Instant {
        Instant::now() + self.0.opener.acquire_timeout
    }
}

/// The value of a setting that was asked for.
fn setting(mut result: StatementResult) -> Result<String, StoreError> {
    let row = result.rows.first_mut().ok_or_else(|| StoreError::fault("a setting has no row"))?;
    row.value()
}

/// What begins a transaction and bounds it.
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
struct Opener {
    address: Address,
    /// How long one may wait for a connection.
    acquire_timeout: Duration,
    /// How long one may wait for an answer.
    patience: Duration,
    /// Whether a pooler is in between that keeps no prepared statements. Nothing is
    /// asked then: a name may be that of another's statement.
    loses_statements: Arc<AtomicBool>,
    /// Each of its connections holds one until that has ended. None when there are to
    /// be no more.
    open: RwLock<Option<mpsc::Sender<()>>>,
}

impl Opener {
    async fn open(&self) -> Result<Arc<Connection>, StoreError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner).clone();
        let held = open.ok_or_else(|| StoreError::closed())?;
        let loses_statements = Arc::clone(&self.loses_statements);
        let opened =
            Connection::open_holding(&self.address, self.acquire_timeout, loses_statements, held);
        opened.await.map(Arc::new)
    }

    fn check(&self) -> Result<(), StoreError> {
        match self.loses_statements.load(Ordering::Relaxed) {
            true => Err(loses_statements()),
            false => Ok(()),
        }
    }

    fn stop(&self) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Opens the connections of a pool.
struct Opening(Arc<Opener>);

impl Manager for Opening {
    type Type = Arc<Connection>;
    type Error = StoreError;

    async fn create(&self) -> Result<Arc<Connection>, StoreError> {
        self.0.open().await
    }

    async fn recycle(&self, one: &mut Arc<Connection>, _: &Metrics) -> RecycleResult<StoreError> {
        // Its end is noticed by itself, without asking PostgreSQL.
        match one.is_closed() {
            true => Err(RecycleError::message("it has ended")),
            false => Ok(()),
        }
    }
}

/// The place of a connection that is shared, opened when it is first needed and when
/// the one before has ended.
#[derive(Default)]
struct Lane {
    current: RwLock<Option<Arc<Connection>>>,
    opening: Mutex<()>,
}

impl Lane {
    fn open(&self) -> Option<Arc<Connection>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|connection| !connection.is_closed()).cloned()
    }

    async fn connection(&self, opener: &Opener) -> Result<Arc<Connection>, StoreError> {
        if let Some(open) = self.open() {
            return Ok(open);
        }
        let opening = timeout(opener.acquire_timeout, self.opening.lock()).await;
        let _opening = opening.map_err(|_| StoreError::timed_out())?;
        if let Some(open) = self.open() {
            return Ok(open);
        }
        let new = opener.open().await?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&new));
        Ok(new)
    }

    fn close(&self) {
        self.current.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A connection that nobody else has, but for those that still wait for the answer to an
/// earlier transaction's end.
pub(super) struct Exclusive {
    /// None when it has been given back.
    object: Option<Object<Opening>>,
    /// Present while a transaction is on it that must end before the next one has it:
    /// whether its BEGIN was answered.
    busy: Option<Arc<AtomicBool>>,
    /// Whether statements of that transaction are unanswered.
    is_running: bool,
    patience: Duration,
    turn: Option<Turn>,
}

impl Exclusive {
    /// The connection.
    pub(super) fn connection(&self) -> Result<&Arc<Connection>, StoreError> {
        self.object.as_deref().ok_or_else(|| StoreError::closed())
    }

    /// Says whether a transaction is on it from now on.
    pub(super) fn set_busy(&mut self, busy: Option<Arc<AtomicBool>>) {
        self.busy = busy;
    }

    /// Says that the transaction is given up, maybe with statements unanswered.
    pub(super) fn give_up(&mut self, is_running: bool) {
        self.is_running = is_running;
    }
}

impl Drop for Exclusive {
    /// A transaction that was given up is taken back before anybody else has the
    /// connection. What it runs is cancelled, and the connection ends with it.
    fn drop(&mut self) {
        let (Some(object), Some(has_begun)) = (self.object.take(), self.busy.take()) else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else { return drop(Object::take(object)) };
        let (turn, patience, is_running) = (self.turn.take(), self.patience, self.is_running);
        runtime.spawn(async move {
            // Before its BEGIN is answered, what runs is of the transaction before it.
            if is_running && has_begun.load(Ordering::Relaxed) {
                object.cancel().await;
            } else if !matches!(timeout(patience, object.command("ROLLBACK")).await, Ok(Ok(()))) {
                tracing::debug!("a transaction that was given up ends with its connection");
                object.cut();
            }
            drop((object, turn));
        });
    }
}
