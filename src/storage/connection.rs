//! Runs statements: [`Db`] outside of transactions, [`Tx`] inside a transaction.
//!
//! Query functions take `&impl Connection`, so that the same function reads outside and inside a
//! transaction. Query functions that write take a [`Tx`], which only
//! [`Store::write`](super::Store::write) provides.
//!
//! The futures of PostgreSQL's client are boxed. They are large, and without a box, the future of
//! each operation would reserve space for one, on SQLite too.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::{
    ActiveModelTrait, ActiveValue, DbBackend, DeleteMany, EntityTrait, Insert, Iterable,
    QueryTrait, Select, TryIntoModel, UpdateMany, Value,
};
use uuid::Uuid;

use super::cache_versions::{CacheVersions, Outdated};
use super::disk_space::DiskSpace;
use super::error::{Cause, Rerun, StoreError, TransactionError};
use super::statement::{Row, SIZES, Statement, StatementResult};
use super::statistics::{Statistics, observe};
use super::{postgres, sqlite};
use crate::error::Result;

/// Runs statements: each by itself ([`Db`]), or in a transaction ([`Tx`]).
pub trait Connection: Sync {
    /// The engine. Statements must use its SQL dialect.
    fn backend(&self) -> DbBackend;

    /// Runs a statement.
    fn run(
        &self,
        statement: Statement,
    ) -> impl Future<Output = Result<StatementResult, StoreError>> + Send;
}

/// Called with every statement before it runs; for tests that check statements.
pub type StatementObserver = Arc<dyn Fn(&Statement) + Send + Sync>;

/// The state that reads and writes of a store share.
#[derive(Default)]
pub(super) struct StoreState {
    pub(super) observer: Option<StatementObserver>,
    /// Incremented when rows of [`KEY_TABLES`] change.
    pub(super) keys_version: AtomicU64,
    pub(super) cache_versions: CacheVersions,
    pub(super) disk_space: DiskSpace,
    pub(super) statistics: Statistics,
}

/// The tables whose rows authentication caches.
const KEY_TABLES: [&str; 2] = ["accounts", "api_keys"];

/// Runs statements outside of transactions; for reads.
#[derive(Clone)]
pub struct Db {
    pub(super) engine: Readers,
    pub(super) state: Arc<StoreState>,
}

#[derive(Clone)]
pub(super) enum Readers {
    Postgres(postgres::Readers),
    Sqlite(sqlite::Readers),
}

/// A transaction of [`Store::write`](super::Store::write). It cannot outlive the closure
/// that borrows it.
pub struct Tx {
    pub(super) engine: Transaction,
    state: Arc<StoreState>,
    /// The cause of its last failed statement.
    cause: Mutex<Option<Cause>>,
    /// Whether there may be something to undo.
    has_written: AtomicBool,
    /// Used only on SQLite: on PostgreSQL nothing is cached.
    outdated: Mutex<Outdated>,
}

#[derive(Clone)]
pub(super) enum Transaction {
    Postgres(Arc<postgres::Transaction>),
    Sqlite(Arc<sqlite::Connection>),
}

impl Db {
    /// The same store for statements that may read many rows. They use connections of their own, so
    /// that they do not delay short statements.
    pub(super) fn for_lists(&self) -> Self {
        let engine = match &self.engine {
            Readers::Postgres(readers) => Readers::Postgres(readers.for_lists()),
            Readers::Sqlite(readers) => Readers::Sqlite(readers.for_lists()),
        };
        Self { engine, state: Arc::clone(&self.state) }
    }
}

impl Connection for Db {
    fn backend(&self) -> DbBackend {
        match &self.engine {
            Readers::Postgres(_) => DbBackend::Postgres,
            Readers::Sqlite(_) => DbBackend::Sqlite,
        }
    }

    async fn run(&self, statement: Statement) -> Result<StatementResult, StoreError> {
        self.state.before(&statement);
        let started = Instant::now();
        let result = match &self.engine {
            Readers::Postgres(readers) => Box::pin(readers.run(statement)).await,
            Readers::Sqlite(readers) => readers.run(statement).await,
        };
        observe(&self.state.statistics.reads, started);
        result.inspect_err(|error| self.state.failed(error))
    }
}

impl Tx {
    /// A [`Tx`] for one change, which runs its statements in this transaction.
    pub(super) fn new(engine: Transaction, state: Arc<StoreState>) -> Self {
        Self {
            engine,
            state,
            cause: Mutex::default(),
            has_written: AtomicBool::new(false),
            outdated: Mutex::default(),
        }
    }

    /// Whether a write was sent, or a statement failed on PostgreSQL, where a failure ends the
    /// transaction.
    pub(super) fn has_written(&self) -> bool {
        self.has_written.load(Ordering::Relaxed)
    }

    /// The transaction itself, for statements whose writes this type does not see. This type
    /// assumes that they write and outdate all cached values.
    pub(super) fn transaction(&self) -> Transaction {
        self.writes();
        self.outdated().all();
        self.engine.clone()
    }

    fn writes(&self) {
        self.has_written.store(true, Ordering::Relaxed);
    }

    /// The cause of the last failed statement.
    pub(super) fn cause(&self) -> Option<Cause> {
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that this change locks or inserts the organization with this id.
    pub(super) fn locks(&self, organization: Uuid) {
        if let Transaction::Sqlite(_) = &self.engine {
            self.outdated().lock(organization);
        }
    }

    /// Takes the record of the cached values that the statements of the change have outdated so
    /// far.
    pub(super) fn take_outdated(&self) -> Outdated {
        std::mem::take(&mut self.outdated())
    }

    fn outdated(&self) -> MutexGuard<'_, Outdated> {
        self.outdated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a write whose result is not needed as long as it succeeds. On PostgreSQL its
    /// result is read with that of the next statement or of the commit, which fails if this
    /// write does.
    pub(super) async fn queue(&self, statement: Statement) -> Result<(), StoreError> {
        let Transaction::Postgres(transaction) = &self.engine else {
            return self.run(statement).await.map(drop);
        };
        self.writes();
        self.state.before(&statement);
        Box::pin(transaction.queue(statement)).await.inspect_err(|error| self.failed(error))
    }

    /// Records the cause of a statement's failure, which decides whether the change is retried.
    pub(super) fn failed(&self, error: &StoreError) {
        if matches!(self.engine, Transaction::Postgres(_)) {
            self.writes();
        }
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.cause);
        self.state.failed(error);
    }
}

impl Connection for Tx {
    fn backend(&self) -> DbBackend {
        match &self.engine {
            Transaction::Postgres(_) => DbBackend::Postgres,
            Transaction::Sqlite(_) => DbBackend::Sqlite,
        }
    }

    async fn run(&self, statement: Statement) -> Result<StatementResult, StoreError> {
        if !statement.is_select() {
            self.writes();
        }
        self.state.before(&statement);
        if matches!(self.engine, Transaction::Sqlite(_)) {
            self.outdated().run(&statement);
        }
        self.engine.run(statement).await.inspect_err(|error| self.failed(error))
    }
}

impl Transaction {
    pub(super) async fn run(&self, statement: Statement) -> Result<StatementResult, StoreError> {
        match self {
            Transaction::Postgres(transaction) => Box::pin(transaction.run(statement)).await,
            Transaction::Sqlite(connection) => connection.run(&statement),
        }
    }

    /// The error of the transaction if a change has failed after it wrote, and other changes are in
    /// the same transaction.
    pub(super) fn change_failed(&self) -> TransactionError {
        TransactionError::change_failed(match self {
            Transaction::Postgres(_) => Rerun::Alone,
            Transaction::Sqlite(_) => Rerun::InSavepoints,
        })
    }

    /// Checks after a change that the transaction can be committed.
    ///
    /// # Errors
    /// If it cannot be committed, even if the change has returned `Ok`.
    pub(super) fn check_open(&self) -> Result<(), TransactionError> {
        match self {
            Transaction::Postgres(transaction) => Ok(transaction.check_finished()?),
            // Some failures, such as a full disk, end the transaction: each later statement of the
            // change was then committed by itself.
            Transaction::Sqlite(connection) if connection.is_autocommit()? => {
                let ended = StoreError::fault("SQLite has ended the transaction");
                Err(TransactionError::rolled_back_or_unknown(ended))
            }
            Transaction::Sqlite(_) => Ok(()),
        }
    }
}

impl StoreState {
    fn failed(&self, error: &StoreError) {
        self.statistics.failed(error.cause);
        self.disk_space.failed(error);
    }

    fn before(&self, statement: &Statement) {
        if let Some(observer) = &self.observer {
            observer(statement);
        }
        if statement.changed_table.is_some_and(|table| KEY_TABLES.contains(&table)) {
            self.keys_version.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Runs a query for its rows.
pub(super) async fn all(db: &impl Connection, query: &impl QueryTrait) -> Result<Vec<Row>> {
    Ok(db.run(Statement::built(query.as_query(), db.backend())).await?.rows)
}

/// Runs a query for rows of one entity's table.
pub(super) async fn models<E>(db: &impl Connection, select: Select<E>) -> Result<Vec<E::Model>>
where
    E: EntityTrait,
    E::ActiveModel: ActiveModelTrait<Entity = E> + TryIntoModel<E::Model>,
{
    let rows = all(db, &select).await?;
    Ok(rows.into_iter().map(|mut row| row.model::<E>()).collect::<Result<_, _>>()?)
}

/// The row of a statement that finds at most one row, by a unique key.
pub(super) async fn first(db: &impl Connection, statement: Statement) -> Result<Option<Row>> {
    Ok(db.run(statement).await?.rows.into_iter().next())
}

/// The number of rows that a query selects.
pub(super) async fn count<E: EntityTrait>(db: &impl Connection, select: Select<E>) -> Result<u64> {
    let mut counted = SelectStatement::new();
    counted.expr(Expr::cust("COUNT(*)")).from_subquery(select.into_query(), "selected");
    let row = first(db, Statement::built(&counted, db.backend())).await?;
    let mut row = row.ok_or_else(|| StoreError::fault("a count has no row"))?;
    Ok(row.value::<i64>()?.unsigned_abs())
}

/// Updates rows; returns how many.
pub(super) async fn update<E: EntityTrait>(tx: &Tx, update: UpdateMany<E>) -> Result<u64> {
    let statement = Statement::built(update.as_query(), tx.backend()).changing::<E>();
    Ok(tx.run(statement).await?.affected)
}

/// Deletes rows; returns how many.
pub(super) async fn delete<E: EntityTrait>(tx: &Tx, delete: DeleteMany<E>) -> Result<u64> {
    let statement = Statement::built(delete.as_query(), tx.backend()).changing::<E>();
    Ok(tx.run(statement).await?.affected)
}

/// Inserts a row with [`Tx::queue`].
///
/// The statement leaves out columns that are not set, which the database sets. It also leaves out
/// columns that are NULL: they become NULL anyway, and each value takes time. So an entity has one
/// statement for each set of columns that occurs; the SQL of each is built once.
pub(super) async fn insert<A>(tx: &Tx, mut row: A) -> Result<()>
where
    A: ActiveModelTrait + 'static,
{
    let columns = || <A::Entity as EntityTrait>::Column::iter().enumerate();
    let mut given = 0_u64;
    let mut values = Vec::with_capacity(columns().count());
    for (place, column) in columns() {
        // Takes the value without a copy, which saves time: every change inserts rows.
        match row.take(column) {
            ActiveValue::Set(value) if !is_null(&value) => {
                given |= 1 << place;
                values.push(value);
            }
            _ => {}
        }
    }
    let backend = tx.backend();
    let key = (TypeId::of::<A>(), given, backend == DbBackend::Postgres);
    let known = INSERTS.read().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
    let sql = known.unwrap_or_else(|| {
        let given = columns().filter(|(place, _)| given & (1 << place) != 0);
        for ((_, column), value) in given.zip(&values) {
            row.set(column, value.clone());
        }
        let sql = Statement::built(Insert::one(row).as_query(), backend).sql;
        let mut inserts = INSERTS.write().unwrap_or_else(PoisonError::into_inner);
        // Kept for the life of the process; there are few.
        inserts.entry(key).or_insert_with(|| Box::leak(sql.into_owned().into_boxed_str()))
    });
    Ok(tx.queue(Statement::new(sql, values)).await?)
}

/// The SQL of inserts, by entity, given columns, and whether the engine is PostgreSQL.
type Inserts = RwLock<HashMap<(TypeId, u64, bool), &'static str>>;
static INSERTS: LazyLock<Inserts> = LazyLock::new(Inserts::default);

/// Inserts rows. On PostgreSQL, one statement inserts many rows. On SQLite, where a statement needs
/// no round trip, a prepared statement inserts each row.
pub(super) async fn insert_many<A>(tx: &Tx, mut rows: Vec<A>) -> Result<()>
where
    A: ActiveModelTrait + 'static,
{
    if tx.backend() == DbBackend::Sqlite {
        for row in rows {
            insert(tx, row).await?;
        }
        return Ok(());
    }
    for size in SIZES {
        while rows.len() >= size {
            let rest = rows.split_off(size);
            let insert = Insert::<A>::many(rows);
            tx.run(Statement::built(insert.as_query(), tx.backend())).await?;
            rows = rest;
        }
    }
    Ok(())
}

/// Whether a value of one of the columns' types is NULL.
fn is_null(value: &Value) -> bool {
    use Value::{BigInt, Bool, Bytes, String, Uuid};

    matches!(value, Bool(None) | BigInt(None) | String(None) | Bytes(None) | Uuid(None))
}
