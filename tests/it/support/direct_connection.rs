//! A database connection of the test, separate from the server's own. It uses only the drivers, so
//! it shares no code with the store that it reads.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::types::ValueRef;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, ProxyExecResult, ProxyRow, QueryResult,
    Statement, Value,
};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// The longest wait for a connection or a lock.
const WAIT_LIMIT: Duration = Duration::from_secs(10);

pub enum DirectConnection {
    Postgres(tokio_postgres::Client),
    Sqlite(Mutex<rusqlite::Connection>),
}

impl DirectConnection {
    pub fn on_file(path: &Path) -> Self {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.busy_timeout(WAIT_LIMIT).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.pragma_update(None, "foreign_keys", "ON").unwrap();
        DirectConnection::Sqlite(Mutex::new(connection))
    }

    pub async fn on_server(url: &str) -> Self {
        Self::try_on_server(url).await.unwrap()
    }

    /// As `on_server`, but returns an error if the database server does not run.
    pub async fn try_on_server(url: &str) -> Result<Self, DbErr> {
        let connected = tokio::time::timeout(WAIT_LIMIT, tokio_postgres::connect(url, NoTls)).await;
        let (client, connection) = connected.map_err(failed)?.map_err(failed)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                println!("a connection beside the server ended: {error}");
            }
        });
        Ok(DirectConnection::Postgres(client))
    }

    pub async fn close(self) -> Result<(), DbErr> {
        match self {
            // The connection closes when the client is dropped.
            DirectConnection::Postgres(_) => Ok(()),
            DirectConnection::Sqlite(connection) => {
                connection.into_inner().unwrap().close().map_err(|(_, error)| failed(error))
            }
        }
    }
}

fn failed(error: impl std::fmt::Display) -> DbErr {
    DbErr::Custom(error.to_string())
}

#[async_trait]
impl ConnectionTrait for DirectConnection {
    fn get_database_backend(&self) -> DbBackend {
        match self {
            DirectConnection::Postgres(_) => DbBackend::Postgres,
            DirectConnection::Sqlite(_) => DbBackend::Sqlite,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        assert!(statement.values.is_none(), "only queries support values");
        self.execute_unprepared(&statement.sql).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let rows_affected = match self {
            DirectConnection::Postgres(client) => {
                let done = client.simple_query(sql).await.map_err(|error| {
                    failed(error.as_db_error().map_or(error.to_string(), ToString::to_string))
                })?;
                let rows = done.iter().rev().find_map(|message| match message {
                    SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
                    _ => None,
                });
                rows.unwrap_or_default()
            }
            DirectConnection::Sqlite(connection) => {
                let connection = connection.lock().unwrap();
                connection.execute_batch(sql).map_err(failed)?;
                connection.changes()
            }
        };
        Ok(ProxyExecResult { last_insert_id: 0, rows_affected }.into())
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let values = statement.values.map(|values| values.0).unwrap_or_default();
        match self {
            DirectConnection::Postgres(client) => {
                on_postgres(client, &statement.sql, &values).await
            }
            DirectConnection::Sqlite(connection) => {
                on_sqlite(&connection.lock().unwrap(), &statement.sql, &values)
            }
        }
    }
}

async fn on_postgres(
    client: &tokio_postgres::Client,
    sql: &str,
    values: &[Value],
) -> Result<Vec<QueryResult>, DbErr> {
    let bound: Vec<(Box<dyn ToSql + Sync + Send>, Type)> = values
        .iter()
        .map(|value| -> (Box<dyn ToSql + Sync + Send>, Type) {
            match value.clone() {
                Value::Bool(value) => (Box::new(value), Type::BOOL),
                Value::BigInt(value) => (Box::new(value), Type::INT8),
                Value::BigUnsigned(value) => (Box::new(value.map(u64::cast_signed)), Type::INT8),
                Value::String(value) => (Box::new(value), Type::TEXT),
                Value::Bytes(value) => (Box::new(value), Type::BYTEA),
                Value::Uuid(value) => (Box::new(value), Type::UUID),
                other => panic!("the value {other:?} is not supported"),
            }
        })
        .collect();
    let bound: Vec<_> =
        bound.iter().map(|(value, of)| (&**value as &(dyn ToSql + Sync), of.clone())).collect();
    let rows = client.query_typed(sql, &bound).await.map_err(failed)?;
    let read = |row: &tokio_postgres::Row| -> BTreeMap<String, Value> {
        let columns = row.columns().iter().enumerate();
        columns
            .map(|(i, column)| {
                let value = match *column.type_() {
                    Type::BOOL => row.get::<_, Option<bool>>(i).into(),
                    Type::INT8 => row.get::<_, Option<i64>>(i).into(),
                    Type::INT4 => row.get::<_, Option<i32>>(i).into(),
                    Type::TEXT | Type::VARCHAR | Type::NAME => {
                        row.get::<_, Option<String>>(i).into()
                    }
                    Type::BYTEA => row.get::<_, Option<Vec<u8>>>(i).into(),
                    Type::UUID => row.get::<_, Option<uuid::Uuid>>(i).into(),
                    ref other => panic!("the column type {other} is not supported"),
                };
                (column.name().to_owned(), value)
            })
            .collect()
    };
    Ok(rows.iter().map(|row| ProxyRow::new(read(row)).into()).collect())
}

fn on_sqlite(
    connection: &rusqlite::Connection,
    sql: &str,
    values: &[Value],
) -> Result<Vec<QueryResult>, DbErr> {
    use rusqlite::types::Value as Sqlite;

    let mut prepared = connection.prepare(sql).map_err(failed)?;
    for (i, value) in values.iter().enumerate() {
        let value = match value.clone() {
            Value::Bool(value) => value.map(|value| Sqlite::Integer(value.into())),
            Value::BigInt(value) => value.map(Sqlite::Integer),
            Value::BigUnsigned(value) => value.map(|value| Sqlite::Integer(value.cast_signed())),
            Value::String(value) => value.map(Sqlite::Text),
            Value::Bytes(value) => value.map(Sqlite::Blob),
            Value::Uuid(value) => value.map(|value| Sqlite::Blob(value.as_bytes().to_vec())),
            other => panic!("the value {other:?} is not supported"),
        };
        let value = value.unwrap_or(Sqlite::Null);
        prepared.raw_bind_parameter(i + 1, value).map_err(failed)?;
    }
    let columns: Vec<(String, Option<String>)> = prepared
        .columns()
        .into_iter()
        .map(|column| (column.name().to_owned(), column.decl_type().map(str::to_owned)))
        .collect();
    let mut rows = prepared.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let mut read = BTreeMap::new();
        for (i, (name, of)) in columns.iter().enumerate() {
            let value = match (of.as_deref(), row.get_ref(i).map_err(failed)?) {
                (_, ValueRef::Null) => Value::BigInt(None),
                (Some("boolean"), ValueRef::Integer(value)) => (value != 0).into(),
                (Some("uuid_text"), ValueRef::Blob(bytes)) => {
                    uuid::Uuid::from_slice(bytes).unwrap().into()
                }
                (_, ValueRef::Integer(value)) => value.into(),
                (_, ValueRef::Text(text)) => std::str::from_utf8(text).unwrap().into(),
                (_, ValueRef::Blob(bytes)) => bytes.to_vec().into(),
                (_, ValueRef::Real(value)) => value.into(),
            };
            read.insert(name.clone(), value);
        }
        found.push(ProxyRow::new(read).into());
    }
    Ok(found)
}
