//! One connection, which takes statements before it has answered those before.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use quick_cache::sync::Cache;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, ProxyExecResult, QueryResult, Statement, sqlx,
};
use tokio::task::AbortHandle;
use tokio_postgres::{Client, Error, Row, SimpleQueryMessage, Statement as Prepared};

use super::address::Address;
use super::errors::{Meaning, failed, meaning, not_connected};
use super::values::{bound, read, types};
use crate::storage::failure::unconnected;

/// Statements that stay prepared on a connection; the service has fewer.
const PREPARED: usize = 256;

/// How long a request to cancel a statement may take.
const CANCEL_WITHIN: Duration = Duration::from_secs(1);

/// A connection to PostgreSQL.
pub struct Connection {
    client: Client,
    prepared: Cache<String, Prepared>,
    address: Address,
    /// Reads and writes the socket.
    driver: AbortHandle,
    /// Whether nobody else may use it, although it is open.
    is_spent: AtomicBool,
    /// Shared by the connections of a pool: whether prepared statements get lost.
    loses_statements: Arc<AtomicBool>,
}

/// What a statement came to.
pub(super) struct Answered {
    rows: Vec<Row>,
    /// How many it wrote.
    affected: u64,
}

/// An answer on its way.
pub(super) type Coming = Pin<Box<dyn Future<Output = Result<Answered, DbErr>> + Send>>;

impl Connection {
    /// Connects, within that time.
    ///
    /// # Errors
    /// If PostgreSQL cannot be reached or lets nobody in.
    pub async fn open(address: &Address, within: Duration) -> Result<Self, DbErr> {
        Self::open_holding(address, within, Arc::default(), ()).await
    }

    /// The same; `held` is dropped when it has ended, and `loses_statements` is set
    /// when PostgreSQL no longer knows what was prepared.
    pub(super) async fn open_holding(
        address: &Address,
        within: Duration,
        loses_statements: Arc<AtomicBool>,
        held: impl Send + 'static,
    ) -> Result<Self, DbErr> {
        // Boxed: whoever may have to connect would carry all that TLS needs for it.
        let connected = tokio::time::timeout(within, Box::pin(address.connect())).await;
        let (client, ends) = connected
            .map_err(|_| unconnected(sqlx::Error::PoolTimedOut))?
            .map_err(not_connected)?;
        let driver = tokio::spawn(async move {
            // Dropped as well when the task is aborted.
            let _held = held;
            if let Err(error) = ends.await {
                // Whoever waits for an answer has an error of its own.
                tracing::debug!(error = %failed(error), "a connection to PostgreSQL broke");
            }
        });
        Ok(Self {
            client,
            prepared: Cache::new(PREPARED),
            address: address.clone(),
            driver: driver.abort_handle(),
            is_spent: AtomicBool::new(false),
            loses_statements,
        })
    }

    /// Whether it has ended or must not be used again.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed() || self.is_spent.load(Ordering::Relaxed)
    }

    /// Ends the connection without waiting for any answer.
    pub(super) fn cut(&self) {
        self.is_spent.store(true, Ordering::Relaxed);
        self.driver.abort();
    }

    /// Cancels what it does and ends it: PostgreSQL notices the end of a connection only
    /// between statements. Nobody uses it afterwards, since the cancellation may arrive
    /// late and would meet another statement.
    pub(super) async fn cancel(&self) {
        self.is_spent.store(true, Ordering::Relaxed);
        let token = self.client.cancel_token();
        let cancelled = tokio::time::timeout(CANCEL_WITHIN, self.address.cancel(&token)).await;
        if !matches!(cancelled, Ok(Ok(()))) {
            tracing::debug!("PostgreSQL did not take the request to cancel a statement");
        }
        self.cut();
    }

    /// The same, without waiting for it.
    pub(super) fn give_up(self: &Arc<Self>) {
        if !self.is_spent.swap(true, Ordering::Relaxed) {
            let connection = Arc::clone(self);
            tokio::spawn(async move { connection.cancel().await });
        }
    }

    /// Keeps others from a connection that leads to a wrong place.
    pub(super) fn failed(&self, error: Error) -> DbErr {
        match meaning(&error) {
            Meaning::Statement => {}
            Meaning::NotPrimary => self.is_spent.store(true, Ordering::Relaxed),
            Meaning::StatementLost => {
                self.is_spent.store(true, Ordering::Relaxed);
                if !self.loses_statements.swap(true, Ordering::Relaxed) {
                    tracing::error!("{}", super::errors::LOSES_STATEMENTS);
                }
            }
        }
        failed(error)
    }

    /// Prepares a statement and runs it later, after `between`: it fails where another
    /// server process may have it then.
    pub(super) async fn try_prepared(
        &self,
        between: impl Future<Output = Result<(), DbErr>>,
    ) -> Result<(), DbErr> {
        let prepared = self.client.prepare("SELECT 1").await.map_err(|e| self.failed(e))?;
        between.await?;
        self.client.query(&prepared, &[]).await.map(drop).map_err(|e| self.failed(e))
    }

    /// Runs a statement.
    pub(super) async fn run(&self, statement: &Statement) -> Result<Answered, DbErr> {
        let prepared = self.prepare(statement).await?;
        self.answer(statement, &prepared).await
    }

    /// Runs a statement of transactions' own, such as COMMIT.
    pub(super) async fn command(&self, sql: &str) -> Result<(), DbErr> {
        self.client.batch_execute(sql).await.map_err(|error| self.failed(error))
    }

    /// Sends a statement; its answer is waited for by whoever wants it.
    pub(super) async fn send(self: &Arc<Self>, statement: Statement) -> Result<Coming, DbErr> {
        let prepared = self.prepare(&statement).await?;
        let connection = Arc::clone(self);
        Ok(sent(async move { connection.answer(&statement, &prepared).await }).await)
    }

    /// Sends a command in the same way.
    pub(super) async fn send_command(self: &Arc<Self>, sql: Arc<str>) -> Coming {
        let connection = Arc::clone(self);
        sent(async move {
            connection.command(&sql).await?;
            Ok(Answered { rows: Vec::new(), affected: 0 })
        })
        .await
    }

    async fn prepare(&self, statement: &Statement) -> Result<Prepared, DbErr> {
        if let Some(prepared) = self.prepared.get(statement.sql.as_str()) {
            return Ok(prepared);
        }
        let types = types(statement)?;
        let prepared = self.client.prepare_typed(&statement.sql, &types).await;
        let prepared = prepared.map_err(|error| self.failed(error))?;
        self.prepared.insert(statement.sql.clone(), prepared.clone());
        Ok(prepared)
    }

    async fn answer(&self, statement: &Statement, prepared: &Prepared) -> Result<Answered, DbErr> {
        let failed = |error| self.failed(error);
        let rows = self.client.query_raw(prepared, bound(statement)).await.map_err(failed)?;
        let mut rows = pin!(rows);
        let mut answered = Answered { rows: Vec::new(), affected: 0 };
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            answered.rows.push(row);
        }
        answered.affected = rows.rows_affected().unwrap_or_default();
        Ok(answered)
    }
}

impl Answered {
    /// How many rows were written.
    pub(super) fn written(&self) -> ExecResult {
        ProxyExecResult { last_insert_id: 0, rows_affected: self.affected }.into()
    }

    /// The first row.
    pub(super) fn one(&self) -> Result<Option<QueryResult>, DbErr> {
        self.rows.first().map(read).transpose()
    }

    /// All rows.
    pub(super) fn all(&self) -> Result<Vec<QueryResult>, DbErr> {
        self.rows.iter().map(read).collect()
    }
}

/// A statement goes out when its answer is first asked for: asks once.
async fn sent(answer: impl Future<Output = Result<Answered, DbErr>> + Send + 'static) -> Coming {
    let mut answer: Coming = Box::pin(answer);
    let first = poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await;
    match first {
        Poll::Ready(answered) => Box::pin(std::future::ready(answered)),
        Poll::Pending => answer,
    }
}

#[async_trait]
impl ConnectionTrait for Connection {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        Ok(self.run(&statement).await?.written())
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let done = self.client.simple_query(sql).await.map_err(|error| self.failed(error))?;
        let rows_affected = done.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
            _ => None,
        });
        let rows_affected = rows_affected.unwrap_or_default();
        Ok(ProxyExecResult { last_insert_id: 0, rows_affected }.into())
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.run(&statement).await?.one()
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.run(&statement).await?.all()
    }
}
