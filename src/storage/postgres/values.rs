//! Values on their way in and out: i64, text, bool, UUID and bytes.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use sea_orm::{DbErr, ProxyRow, QueryResult, Statement, Value};
use tokio_postgres::Row;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type};

use super::errors::failed;

/// The types of a statement's values, so that PostgreSQL need not guess.
///
/// # Errors
/// If one is of a type that no column has.
pub fn types(statement: &Statement) -> Result<Vec<Type>, DbErr> {
    values(statement).iter().map(type_of).collect()
}

/// A statement's values.
pub fn bound(statement: &Statement) -> impl ExactSizeIterator<Item = Bound<'_>> {
    values(statement).iter().map(Bound)
}

fn values(statement: &Statement) -> &[Value] {
    statement.values.as_ref().map_or(&[], |values| &values.0)
}

fn type_of(value: &Value) -> Result<Type, DbErr> {
    Ok(match value {
        Value::Bool(_) => Type::BOOL,
        Value::Int(_) | Value::BigInt(_) | Value::BigUnsigned(_) => Type::INT8,
        Value::String(_) => Type::TEXT,
        Value::Bytes(_) => Type::BYTEA,
        Value::Uuid(_) => Type::UUID,
        _ => return Err(DbErr::Type("no column is of a bound value's type".into())),
    })
}

/// A value of SeaORM's as one of PostgreSQL's.
pub struct Bound<'a>(&'a Value);

/// Shows nothing: it may be a secret.
impl fmt::Debug for Bound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

impl ToSql for Bound<'_> {
    fn to_sql(
        &self,
        of: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            Value::Bool(value) => value.to_sql(of, out),
            Value::Int(value) => value.map(i64::from).to_sql(of, out),
            Value::BigInt(value) => value.to_sql(of, out),
            Value::BigUnsigned(value) => value.map(i64::try_from).transpose()?.to_sql(of, out),
            Value::String(value) => value.as_deref().to_sql(of, out),
            Value::Bytes(value) => value.as_deref().to_sql(of, out),
            Value::Uuid(value) => value.to_sql(of, out),
            _ => Err("no column is of a bound value's type".into()),
        }
    }

    /// What [`types`] makes of a value is what it is prepared as.
    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(
        &self,
        of: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.to_sql(of, out)
    }
}

/// A row as SeaORM reads it.
///
/// # Errors
/// If a value is of a type that no column has.
pub fn read(row: &Row) -> Result<QueryResult, DbErr> {
    let mut values = BTreeMap::new();
    for (i, column) in row.columns().iter().enumerate() {
        values.insert(column.name().to_owned(), value(row, i, column.type_())?);
    }
    Ok(ProxyRow::new(values).into())
}

fn value(row: &Row, i: usize, of: &Type) -> Result<Value, DbErr> {
    let value = match *of {
        Type::BOOL => row.try_get::<_, Option<bool>>(i).map(Value::from),
        Type::INT8 => row.try_get::<_, Option<i64>>(i).map(Value::from),
        Type::INT4 => row.try_get::<_, Option<i32>>(i).map(Value::from),
        Type::TEXT | Type::VARCHAR | Type::NAME => {
            row.try_get::<_, Option<String>>(i).map(Value::from)
        }
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(i).map(Value::from),
        Type::UUID => row.try_get::<_, Option<uuid::Uuid>>(i).map(Value::from),
        _ => return Err(DbErr::Type(format!("no column of ours is of the type {of}"))),
    };
    value.map_err(failed)
}
