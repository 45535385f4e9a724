//! Values on their way in and out. Columns are i64, text, bool, UUID and bytes and
//! nothing else; what else is bound (a LIMIT, a flag) becomes one of these.

use std::collections::BTreeMap;

use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};
use rusqlite::{Row, Statement};
use sea_orm::sea_query::Values;
use sea_orm::{DbErr, ProxyRow, QueryResult, Value};

use super::errors::failed;

/// Binds a statement's values.
///
/// # Errors
/// If one is of a type that no column has.
pub fn bind(statement: &mut Statement<'_>, values: Option<&Values>) -> Result<(), DbErr> {
    for (i, value) in values.into_iter().flat_map(|values| &values.0).enumerate() {
        statement.raw_bind_parameter(i + 1, given(value)?).map_err(failed)?;
    }
    Ok(())
}

fn given(value: &Value) -> Result<ToSqlOutput<'_>, DbErr> {
    let integer =
        |value: Option<i64>| ToSqlOutput::Owned(value.map_or(Owned::Null, Owned::Integer));
    let bytes = |bytes| ToSqlOutput::Borrowed(ValueRef::Blob(bytes));
    let null = ToSqlOutput::Borrowed(ValueRef::Null);
    Ok(match value {
        Value::Bool(value) => integer(value.map(i64::from)),
        Value::Int(value) => integer(value.map(i64::from)),
        Value::BigInt(value) => integer(*value),
        Value::BigUnsigned(value) => {
            let value = value.map(i64::try_from).transpose();
            integer(value.map_err(|_| DbErr::Type("a number beyond 64 bits with a sign".into()))?)
        }
        Value::String(value) => value.as_ref().map_or(null, |text| text.as_str().into()),
        Value::Bytes(value) => value.as_deref().map_or(null, bytes),
        Value::Uuid(value) => value.as_ref().map_or(null, |uuid| bytes(uuid.as_bytes())),
        _ => return Err(DbErr::Type("no column is of a bound value's type".into())),
    })
}

/// The columns of a statement's rows.
pub struct Columns(Vec<(String, Kind)>);

/// What a column was declared as, where SQLite itself does not keep it.
#[derive(Clone, Copy)]
enum Kind {
    Bool,
    Uuid,
    /// As it is stored; so is every expression.
    Stored,
}

impl Columns {
    /// Those of a statement.
    pub fn of(statement: &Statement<'_>) -> Self {
        let columns = statement.columns().into_iter().map(|column| {
            let kind = match column.decl_type() {
                Some("boolean") => Kind::Bool,
                Some("uuid_text") => Kind::Uuid,
                _ => Kind::Stored,
            };
            (column.name().to_owned(), kind)
        });
        Self(columns.collect())
    }

    /// A row as SeaORM reads it.
    ///
    /// # Errors
    /// If a value is not of its column's type.
    pub fn read(&self, row: &Row<'_>) -> Result<QueryResult, DbErr> {
        let mut values = BTreeMap::new();
        for (i, (name, kind)) in self.0.iter().enumerate() {
            values.insert(name.clone(), stored(row.get_ref(i).map_err(failed)?, *kind, name)?);
        }
        Ok(ProxyRow::new(values).into())
    }
}

fn stored(value: ValueRef<'_>, kind: Kind, column: &str) -> Result<Value, DbErr> {
    let wrong = || DbErr::Type(format!("the value in column {column} is of another type"));
    Ok(match (kind, value) {
        // Every type reads a null of any other.
        (_, ValueRef::Null) => Value::BigInt(None),
        (Kind::Bool, ValueRef::Integer(value)) => (value != 0).into(),
        (Kind::Uuid, ValueRef::Blob(bytes)) => {
            uuid::Uuid::from_slice(bytes).map_err(|_| wrong())?.into()
        }
        (Kind::Stored, ValueRef::Integer(value)) => value.into(),
        (Kind::Stored, ValueRef::Text(text)) => {
            std::str::from_utf8(text).map_err(|_| wrong())?.into()
        }
        (Kind::Stored, ValueRef::Blob(bytes)) => bytes.to_vec().into(),
        (Kind::Stored, ValueRef::Real(value)) => value.into(),
        _ => return Err(wrong()),
    })
}
