//! Runs changes on PostgreSQL. The transactions of one organization run one after another.
//!
//! While a transaction of an organization runs, the organization's further changes wait. They run
//! as a group in its next transaction. So an organization uses one connection at a time, its
//! changes do not wait for each other's row locks, and many changes of it share a commit.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, join_all};
use tokio::time::Instant;
use uuid::Uuid;

use super::change::Job;
use super::group::{self, Session};
use crate::storage::connection::{StoreState, Transaction};
use crate::storage::error::{StoreError, TransactionError};
use crate::storage::postgres::{Exclusive, Pool, Transaction as PostgresTransaction};

/// The most changes in one transaction.
const MAX_GROUP: usize = 64;

/// Runs changes on the connections of a pool.
pub struct Writer {
    pool: Pool,
    state: Arc<StoreState>,
    waiting: Arc<Waiting>,
}

/// The waiting changes of each organization that has a [`Turn`].
#[derive(Default)]
struct Waiting(Mutex<HashMap<Uuid, Vec<Box<dyn Job>>>>);

/// The right to run an organization's changes. An organization has at most one at a time.
struct Turn {
    organization: Uuid,
    waiting: Arc<Waiting>,
    is_over: bool,
}

impl Writer {
    pub fn new(pool: Pool, state: Arc<StoreState>) -> Self {
        Self { pool, state, waiting: Arc::default() }
    }

    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Runs a change, perhaps together with others of its organization.
    pub(super) fn send(&self, organization: Option<Uuid>, job: Box<dyn Job>) {
        let (pool, state) = (self.pool.clone(), Arc::clone(&self.state));
        let Some(organization) = organization else {
            tokio::spawn(async move { run(&pool, &state, || vec![job]).await });
            return;
        };
        if let Some(mut turn) = self.waiting.push(organization, job) {
            tokio::spawn(async move {
                while turn.has_changes() {
                    run(&pool, &state, || turn.take()).await;
                }
            });
        }
    }
}

impl Waiting {
    /// Adds a change; returns the turn of its organization if no task has it.
    fn push(self: &Arc<Self>, organization: Uuid, job: Box<dyn Job>) -> Option<Turn> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !waiting.contains_key(&organization);
        waiting.entry(organization).or_default().push(job);
        is_new.then(|| Turn { organization, waiting: Arc::clone(self), is_over: false })
    }
}

impl Turn {
    /// Whether changes wait. If not, the turn is over, and the next change gets a new one.
    fn has_changes(&mut self) -> bool {
        let mut waiting = self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = waiting.get(&self.organization);
        self.is_over = changes.is_none_or(Vec::is_empty);
        if self.is_over {
            waiting.remove(&self.organization);
        }
        !self.is_over
    }

    /// Takes the waiting changes, oldest first, up to [`MAX_GROUP`].
    fn take(&self) -> Vec<Box<dyn Job>> {
        let mut waiting = self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(changes) = waiting.get_mut(&self.organization) else { return Vec::new() };
        let later = changes.split_off(changes.len().min(MAX_GROUP));
        mem::replace(changes, later)
    }
}

impl Drop for Turn {
    /// If the task panics, the changes that wait are dropped, and their callers get an error.
    fn drop(&mut self) {
        if !self.is_over {
            let mut waiting = self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.remove(&self.organization);
        }
    }
}

/// Runs a group of changes. It calls `take` only when it has a connection, because more changes may
/// arrive while it waits for one.
async fn run(pool: &Pool, state: &Arc<StoreState>, take: impl FnOnce() -> Vec<Box<dyn Job>>) {
    let first = pool.exclusive_for_change().await;
    let mut group = take();
    let abandoned: Vec<BoxFuture<'static, ()>> =
        group.iter_mut().map(|job| job.abandoned()).collect();
    let Some(until) = group.first().map(|job| job.until()) else { return };
    let mut session = PostgresSession { pool, first: Some(first), until };
    tokio::select! {
        () = group::run(&mut session, state, group) => {}
        // No caller waits any longer. Dropping the other future cancels its running statement.
        _ = join_all(abandoned) => {}
    }
}

struct PostgresSession<'a> {
    pool: &'a Pool,
    /// The connection of the first transaction.
    first: Option<Result<Exclusive, StoreError>>,
    /// The deadline for PostgreSQL to begin a transaction.
    until: Instant,
}

impl Session for PostgresSession<'_> {
    async fn begin(&mut self) -> Result<Transaction, StoreError> {
        let exclusive = match self.first.take() {
            Some(first) => first?,
            None => self.pool.exclusive_for_change().await?,
        };
        let transaction = PostgresTransaction::of_change(self.pool, exclusive, self.until);
        Ok(Transaction::Postgres(Arc::new(transaction)))
    }

    async fn commit(&mut self, transaction: &Transaction) -> Result<(), TransactionError> {
        match transaction {
            Transaction::Postgres(transaction) => transaction.commit().await,
            Transaction::Sqlite(_) => Ok(()),
        }
    }

    async fn roll_back(&mut self, transaction: &Transaction) -> Result<(), StoreError> {
        if let Transaction::Postgres(transaction) = transaction
            && let Err(error) = transaction.rollback().await
        {
            tracing::debug!(%error, "a rollback failed: the end of its connection does the same");
        }
        Ok(())
    }
}
