//! One connection, which accepts statements before the results of earlier ones arrive.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::TryStreamExt;
use quick_cache::sync::Cache;
use sea_orm::Value;
use tokio::task::AbortHandle;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type};
use tokio_postgres::{Client, Error, SimpleQueryMessage, Statement as Prepared};

use super::address::Address;
use super::errors::{READ_ONLY, failed, loses_statements};
use super::preparing::Preparing;
use crate::storage::error::{Cause, StoreError};
use crate::storage::statement::{Row, Statement, StatementResult};

/// The most statements that stay prepared on a connection; the service has fewer.
const MAX_PREPARED: usize = 256;

/// The most attempts, at the start, to occupy the server process of another connection. Behind a
/// pooler an early attempt succeeds, unless other clients occupy the process first.
const PROBES: usize = 8;

/// The longest time that a request to cancel a statement may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection to PostgreSQL.
pub struct Connection {
    client: Client,
    prepared: Cache<String, Prepared>,
    address: Address,
    /// The task that reads and writes the socket.
    driver: AbortHandle,
    /// Whether it must not be used again, although it is open.
    is_spent: AtomicBool,
    /// Shared by the connections of a pool.
    preparing: Arc<Preparing>,
}

/// The result of a statement that was sent.
pub(super) type PendingResult =
    Pin<Box<dyn Future<Output = Result<StatementResult, StoreError>> + Send>>;

impl Connection {
    /// Connects within a time limit.
    ///
    /// # Errors
    /// If PostgreSQL cannot be reached or rejects the user.
    pub async fn open(address: &Address, within: Duration) -> Result<Self, StoreError> {
        Self::open_holding(address, within, Arc::default(), ()).await
    }

    /// As [`Connection::open`]. `held` is dropped when the connection has ended.
    pub(super) async fn open_holding(
        address: &Address,
        within: Duration,
        preparing: Arc<Preparing>,
        held: impl Send + 'static,
    ) -> Result<Self, StoreError> {
        // Boxed: the future holds the state of a TLS handshake.
        let (client, ends) = Box::pin(address.connect(within)).await?;
        let driver = tokio::spawn(async move {
            // It is also dropped when the task is aborted.
            let _held = held;
            if let Err(error) = ends.await {
                // Each pending statement reports an error of its own.
                tracing::debug!(error = %failed(error), "a connection to PostgreSQL broke");
            }
        });
        Ok(Self {
            client,
            prepared: Cache::new(MAX_PREPARED),
            address: address.clone(),
            driver: driver.abort_handle(),
            is_spent: AtomicBool::new(false),
            preparing,
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

    /// Cancels the running statement and ends the connection: PostgreSQL notices the end of
    /// a connection only between statements. The connection is not used again, since a
    /// late cancellation would end another statement.
    pub(super) async fn cancel(&self) {
        self.is_spent.store(true, Ordering::Relaxed);
        let token = self.client.cancel_token();
        let cancelled = tokio::time::timeout(CANCEL_TIMEOUT, self.address.cancel(&token)).await;
        if !matches!(cancelled, Ok(Ok(()))) {
            tracing::debug!("a request to cancel a statement failed: its connection is closed");
        }
        self.cut();
    }

    /// As [`Connection::cancel`], without waiting for its end.
    pub(super) fn give_up(self: &Arc<Self>) {
        if !self.is_spent.swap(true, Ordering::Relaxed) {
            let connection = Arc::clone(self);
            tokio::spawn(async move { connection.cancel().await });
        }
    }

    /// Converts an error. If it shows that the connection is unusable, the connection is not used
    /// again.
    pub(super) fn failed(&self, error: Error) -> StoreError {
        self.noted(failed(error))
    }

    fn noted(&self, mut error: StoreError) -> StoreError {
        if error.cause == Cause::StatementLost {
            self.is_spent.store(true, Ordering::Relaxed);
            if self.preparing.lost() {
                // The statement can run on another connection, without a name.
                error.cause = Cause::Away;
            }
        } else if error.code.as_deref() == Some(READ_ONLY) {
            self.is_spent.store(true, Ordering::Relaxed);
        }
        error
    }

    /// Finds out whether a prepared statement is still known when `other` occupies the server
    /// process on which it was prepared. It fails if a pooler has given this connection another
    /// process that does not know the statement.
    pub(super) async fn try_prepared(&self, other: &Self) -> Result<(), StoreError> {
        // The mark identifies the statement: another client of the pooler may have prepared a
        // statement of the same name on the other process.
        let mark = uuid::Uuid::new_v4().to_string();
        let sql = format!("SELECT pg_backend_pid()::text, '{mark}'");
        let prepared = self.client.prepare(&sql).await.map_err(|e| self.failed(e))?;
        let mut before = None;
        for _ in 0..PROBES {
            let held = other.begin().await?;
            let row = self.client.query_one(&prepared, &[]).await.map_err(|e| self.failed(e))?;
            other.command("ROLLBACK").await?;
            let text = |column| row.try_get::<_, String>(column).map_err(|e| self.failed(e));
            let (process, marked) = (text(0)?, text(1)?);
            if marked != mark {
                return Err(self.noted(loses_statements()));
            }
            if before.replace(process) == held {
                // The statement has run on another process than before, so it is not lost.
                return Ok(());
            }
        }
        Ok(())
    }

    /// Begins a transaction; returns the id of its server process.
    async fn begin(&self) -> Result<Option<String>, StoreError> {
        let sql = "BEGIN; SELECT pg_backend_pid()";
        let answers = self.client.simple_query(sql).await.map_err(|e| self.failed(e))?;
        let process = answers.iter().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        Ok(process)
    }

    /// Runs a statement.
    pub async fn run(&self, statement: &Statement) -> Result<StatementResult, StoreError> {
        let prepared = self.prepare(statement).await?;
        self.query(statement, prepared).await
    }

    /// Runs a statement without values, such as COMMIT.
    pub(super) async fn command(&self, sql: &str) -> Result<(), StoreError> {
        self.client.batch_execute(sql).await.map_err(|error| self.failed(error))
    }

    /// Sends a statement. The returned future waits for its result.
    pub(super) async fn send(
        self: &Arc<Self>,
        statement: Statement,
    ) -> Result<PendingResult, StoreError> {
        let prepared = self.prepare(&statement).await?;
        let connection = Arc::clone(self);
        Ok(sent(async move { connection.query(&statement, prepared).await }).await)
    }

    /// As [`Connection::send`], for a statement without values.
    pub(super) async fn send_command(self: &Arc<Self>, sql: Arc<str>) -> PendingResult {
        let connection = Arc::clone(self);
        sent(async move {
            connection.command(&sql).await?;
            Ok(StatementResult::default())
        })
        .await
    }

    /// Prepares a statement; returns `None` if statements are sent without names.
    async fn prepare(&self, statement: &Statement) -> Result<Option<Prepared>, StoreError> {
        if !self.preparing.is_on() {
            return Ok(None);
        }
        if let Some(prepared) = self.prepared.get(statement.sql.as_ref()) {
            return Ok(Some(prepared));
        }
        let types: Vec<Type> = statement.values.iter().map(type_of).collect::<Result<_, _>>()?;
        let prepared = self.client.prepare_typed(&statement.sql, &types).await;
        let prepared = prepared.map_err(|error| self.failed(error))?;
        self.prepared.insert(statement.sql.clone().into_owned(), prepared.clone());
        Ok(Some(prepared))
    }

    async fn query(
        &self,
        statement: &Statement,
        prepared: Option<Prepared>,
    ) -> Result<StatementResult, StoreError> {
        let failed = |error| self.failed(error);
        let values = statement.values.iter();
        let rows = match prepared {
            Some(prepared) => self.client.query_raw(&prepared, values.map(Bound)).await,
            // Sent together in one piece, which no pooler splits. Boxed: otherwise this future
            // would make the future of every statement larger.
            None => {
                let values = values.map(|value| Ok((Bound(value), type_of(value)?)));
                let values = values.collect::<Result<Vec<_>, StoreError>>()?;
                Box::pin(self.client.query_typed_raw(&statement.sql, values)).await
            }
        };
        let mut rows = pin!(rows.map_err(failed)?);
        let mut result = StatementResult::default();
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            if statement.names_columns && result.rows.is_empty() {
                result.columns = row.columns().iter().map(|one| one.name().to_owned()).collect();
            }
            result.rows.push(read(&row)?);
        }
        result.affected = rows.rows_affected().unwrap_or_default();
        Ok(result)
    }
}

/// A value of SeaORM as a parameter of tokio-postgres.
struct Bound<'a>(&'a Value);

/// Hides the value, which may be a secret.
impl fmt::Debug for Bound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

impl ToSql for Bound<'_> {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, BoxedError> {
        match self.0 {
            Value::Bool(value) => value.to_sql(of, out),
            Value::Int(value) => value.map(i64::from).to_sql(of, out),
            Value::BigInt(value) => value.to_sql(of, out),
            Value::BigUnsigned(value) => value.map(i64::try_from).transpose()?.to_sql(of, out),
            Value::String(value) => value.as_deref().to_sql(of, out),
            Value::Bytes(value) => value.as_deref().to_sql(of, out),
            Value::Uuid(value) => value.to_sql(of, out),
            _ => Err(UNKNOWN_TYPE.into()),
        }
    }

    /// Always true: [`type_of`] has given the types of the values to PostgreSQL.
    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, BoxedError> {
        self.to_sql(of, out)
    }
}

type BoxedError = Box<dyn std::error::Error + Sync + Send>;

const UNKNOWN_TYPE: &str = "a bound value has a type that no column has";

/// The type of a value, so that PostgreSQL need not infer it.
fn type_of(value: &Value) -> Result<Type, StoreError> {
    Ok(match value {
        Value::Bool(_) => Type::BOOL,
        Value::Int(_) | Value::BigInt(_) | Value::BigUnsigned(_) => Type::INT8,
        Value::String(_) => Type::TEXT,
        Value::Bytes(_) => Type::BYTEA,
        Value::Uuid(_) => Type::UUID,
        _ => return Err(StoreError::fault(UNKNOWN_TYPE)),
    })
}

fn read(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let values = row.columns().iter().enumerate().map(|(i, column)| {
        let value = match *column.type_() {
            Type::BOOL => row.try_get::<_, Option<bool>>(i).map(Value::from),
            Type::INT8 => row.try_get::<_, Option<i64>>(i).map(Value::from),
            Type::INT4 => row.try_get::<_, Option<i32>>(i).map(Value::from),
            Type::TEXT | Type::VARCHAR | Type::NAME => {
                row.try_get::<_, Option<String>>(i).map(Value::from)
            }
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(i).map(Value::from),
            Type::UUID => row.try_get::<_, Option<uuid::Uuid>>(i).map(Value::from),
            ref of => return Err(StoreError::fault(format!("a column is of the type {of}"))),
        };
        value.map_err(failed)
    });
    Ok(Row::new(values.collect::<Result<_, _>>()?))
}

/// Polls a statement once, which sends it.
async fn sent(
    result: impl Future<Output = Result<StatementResult, StoreError>> + Send + 'static,
) -> PendingResult {
    let mut answer: PendingResult = Box::pin(result);
    let first = poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await;
    match first {
        Poll::Ready(answered) => Box::pin(std::future::ready(answered)),
        Poll::Pending => answer,
    }
}
