//! The connections: some for one user at a time, some that short reads share.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use deadpool::managed::{self, Manager, Metrics, Object, PoolError, RecycleError, RecycleResult};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, sqlx};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use super::address::Address;
use super::connection::{Answered, Connection};
use crate::storage::PoolSize;
use crate::storage::error::{Cause, cause};
use crate::storage::failure::unconnected;

/// One in so many connections is shared by short reads; fewer have none that is.
const SHARED: usize = 4;

/// Connections to PostgreSQL. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Connections>);

struct Connections {
    exclusive: managed::Pool<Opener>,
    shared: Box<[Lane]>,
    next: AtomicUsize,
    /// Ends when the last connection has.
    all_closed: Mutex<mpsc::Receiver<()>>,
}

impl Pool {
    /// Opens connections as they are needed, `most` of them; `patience` is how long
    /// one waits to get one.
    ///
    /// # Errors
    /// None that is known; the pool's builder has one.
    pub fn new(address: Address, most: u32, patience: Duration) -> Result<Self, DbErr> {
        let (open, all_closed) = mpsc::channel(1);
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        let opener = Opener { address, patience, open: RwLock::new(Some(open)) };
        let exclusive = managed::Pool::builder(opener)
            .max_size(most - most / SHARED)
            .runtime(deadpool::Runtime::Tokio1)
            .wait_timeout(Some(patience))
            .build()
            .map_err(|error| DbErr::Custom(error.to_string()))?;
        let shared = (0..most / SHARED).map(|_| Lane::default()).collect();
        let all_closed = Mutex::new(all_closed);
        Ok(Self(Arc::new(Connections { exclusive, shared, next: AtomicUsize::new(0), all_closed })))
    }

    /// A connection for one alone.
    ///
    /// # Errors
    /// If there is none in time.
    pub(super) async fn exclusive(&self) -> Result<Exclusive, DbErr> {
        let object = self.0.exclusive.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(_) => unconnected(sqlx::Error::PoolTimedOut),
            PoolError::Closed => unconnected(sqlx::Error::PoolClosed),
            other => DbErr::Custom(other.to_string()),
        })?;
        Ok(Exclusive { object: Some(object), is_busy: AtomicBool::new(false) })
    }

    /// Whether a connection for changes can be had and leads to a server that takes them.
    ///
    /// # Errors
    /// If not.
    pub async fn check_writable(&self) -> Result<(), DbErr> {
        self.exclusive().await?.connection()?.command("SELECT 1").await
    }

    /// How many there are.
    pub fn size(&self) -> PoolSize {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let exclusive = self.0.exclusive.status();
        let shared: Vec<_> = self.0.shared.iter().filter_map(Lane::open).collect();
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
    pub async fn close(&self) -> Result<(), DbErr> {
        let Connections { exclusive, shared, all_closed, .. } = &*self.0;
        exclusive.manager().stop();
        exclusive.close();
        shared.iter().for_each(Lane::close);
        let mut all_closed = all_closed.lock().await;
        match timeout(exclusive.manager().patience, all_closed.recv()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(unconnected(sqlx::Error::PoolTimedOut)),
        }
    }

    /// A connection for short reads, in turn.
    async fn shared(&self) -> Option<Result<Arc<Connection>, DbErr>> {
        let lanes = &self.0.shared;
        let turn = self.0.next.fetch_add(1, Ordering::Relaxed);
        let lane = lanes.get(turn.checked_rem(lanes.len())?)?;
        Some(lane.connection(self.0.exclusive.manager()).await)
    }
}

/// Opens connections.
struct Opener {
    address: Address,
    patience: Duration,
    /// Each of its connections holds one until that has ended. None when there are to
    /// be no more.
    open: RwLock<Option<mpsc::Sender<()>>>,
}

impl Opener {
    async fn open(&self) -> Result<Arc<Connection>, DbErr> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner).clone();
        let held = open.ok_or_else(|| unconnected(sqlx::Error::PoolClosed))?;
        Connection::open_holding(&self.address, self.patience, held).await.map(Arc::new)
    }

    fn stop(&self) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Manager for Opener {
    type Type = Arc<Connection>;
    type Error = DbErr;

    async fn create(&self) -> Result<Arc<Connection>, DbErr> {
        self.open().await
    }

    async fn recycle(&self, one: &mut Arc<Connection>, _: &Metrics) -> RecycleResult<DbErr> {
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

    async fn connection(&self, opener: &Opener) -> Result<Arc<Connection>, DbErr> {
        if let Some(open) = self.open() {
            return Ok(open);
        }
        let opening = timeout(opener.patience, self.opening.lock()).await;
        let _opening = opening.map_err(|_| unconnected(sqlx::Error::PoolTimedOut))?;
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

/// A connection that nobody else has, but for whoever still waits for the answer to a
/// transaction's end.
pub(super) struct Exclusive {
    /// None when it has been given back.
    object: Option<Object<Opener>>,
    /// Whether something is on it that must end before the next one has it.
    is_busy: AtomicBool,
}

impl Exclusive {
    /// The connection.
    pub(super) fn connection(&self) -> Result<&Arc<Connection>, DbErr> {
        self.object.as_deref().ok_or_else(|| unconnected(sqlx::Error::PoolClosed))
    }

    /// Says whether something is on it from now on.
    pub(super) fn set_busy(&self, is_busy: bool) {
        self.is_busy.store(is_busy, Ordering::Relaxed);
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        let (Some(object), true) = (self.object.take(), *self.is_busy.get_mut()) else { return };
        match Handle::try_current() {
            // The next one is not to wait for what nobody wants any more.
            Ok(runtime) => drop(runtime.spawn(async move {
                if let Err(error) = object.command("ROLLBACK").await {
                    tracing::debug!(%error, "rollback failed");
                }
            })),
            Err(_) => drop(Object::take(object)),
        }
    }
}

/// Reads, each statement by itself. Clones share the connections.
#[derive(Clone)]
pub struct Readers {
    pool: Pool,
    /// Whether statements may take long, and must not keep others waiting.
    are_long: bool,
}

impl Readers {
    /// Reads on these connections.
    pub fn new(pool: Pool) -> Self {
        Self { pool, are_long: false }
    }

    /// The same for statements that may take long.
    pub fn long(&self) -> Self {
        Self { pool: self.pool.clone(), are_long: true }
    }

    /// The connections.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    async fn run(&self, statement: &Statement) -> Result<Answered, DbErr> {
        match self.reader().await?.run(statement).await {
            // Its connection has gone. There may be others, and to read twice changes
            // nothing.
            Err(error) if cause(&error) == Cause::Away => self.reader().await?.run(statement).await,
            answered => answered,
        }
    }

    async fn reader(&self) -> Result<Reader, DbErr> {
        let shared = if self.are_long { None } else { self.pool.shared().await };
        match shared {
            Some(shared) => shared.map(Reader::Shared),
            None => self.pool.exclusive().await.map(Reader::Exclusive),
        }
    }
}

/// A connection to read on.
enum Reader {
    Shared(Arc<Connection>),
    Exclusive(Exclusive),
}

impl Reader {
    async fn run(self, statement: &Statement) -> Result<Answered, DbErr> {
        match self {
            Self::Shared(connection) => connection.run(statement).await,
            Self::Exclusive(exclusive) => {
                exclusive.set_busy(true);
                let answered = exclusive.connection()?.run(statement).await;
                exclusive.set_busy(false);
                answered
            }
        }
    }
}

#[async_trait]
impl ConnectionTrait for Readers {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        Ok(self.run(&statement).await?.written())
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.execute_raw(Statement::from_string(DbBackend::Postgres, sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.run(&statement).await?.one()
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.run(&statement).await?.all()
    }
}
