//! Statements and rows, as both engines run and return them.

use std::borrow::Cow;

use sea_orm::sea_query::ValueType;
use sea_orm::{
    ActiveModelTrait, DbBackend, EntityName, EntityTrait, IdenStatic, Iterable, StatementBuilder,
    TryIntoModel, Value,
};

use super::error::StoreError;

/// SQL and the values of its placeholders.
#[derive(Debug, Clone)]
pub struct Statement {
    pub sql: Cow<'static, str>,
    pub values: Vec<Value>,
    /// The table whose existing rows it updates or deletes.
    pub(super) changed_table: Option<&'static str>,
    /// Whether the names of the result's columns are needed.
    pub(super) names_columns: bool,
}

/// The result of a statement.
#[derive(Debug, Default)]
pub struct StatementResult {
    pub rows: Vec<Row>,
    /// How many rows were inserted, updated or deleted.
    pub affected: u64,
    /// The names of the columns, if they are needed and there is a row.
    pub(super) columns: Vec<String>,
}

/// The values of a row that are not read yet, in the order of the statement's columns.
#[derive(Debug)]
pub struct Row(std::vec::IntoIter<Value>);

/// The numbers of rows or values that statements are made for, largest first. Each number needs a
/// statement of its own, which PostgreSQL keeps on each connection, so there are few numbers. Both
/// engines accept as many values as the largest statement has (SQLite: 32,766).
pub(super) const SIZES: [usize; 4] = [500, 64, 8, 1];

impl Statement {
    /// A statement of this SQL, in the engine's dialect.
    pub fn new(sql: impl Into<Cow<'static, str>>, values: Vec<Value>) -> Self {
        Self { sql: sql.into(), values, changed_table: None, names_columns: false }
    }

    /// Whether it only reads; it may lock rows.
    pub(super) fn is_select(&self) -> bool {
        self.sql.starts_with("SELECT ")
    }

    pub(super) fn built(query: &impl StatementBuilder, backend: DbBackend) -> Self {
        let built = StatementBuilder::build(query, &backend);
        Self::new(built.sql, built.values.map(|values| values.0).unwrap_or_default())
    }

    /// Requests the names of the result's columns.
    pub(super) fn naming_columns(self) -> Self {
        Self { names_columns: true, ..self }
    }

    /// Marks it as a statement that updates or deletes rows of an entity's table.
    pub(super) fn changing<E: EntityName + Default>(mut self) -> Self {
        self.changed_table = Some(E::default().table_name());
        self
    }
}

impl Row {
    pub(super) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    /// All values.
    pub fn into_values(self) -> impl Iterator<Item = Value> {
        self.0
    }

    /// The value of the next column.
    pub(super) fn value<T: ValueType>(&mut self) -> Result<T, StoreError> {
        T::try_from(self.next()?)
            .map_err(|_| StoreError::fault(format!("a column's value is no {}", T::type_name())))
    }

    /// The next columns as a row of an entity's table.
    pub(super) fn model<E>(&mut self) -> Result<E::Model, StoreError>
    where
        E: EntityTrait,
        E::ActiveModel: ActiveModelTrait<Entity = E> + TryIntoModel<E::Model>,
    {
        let mut model = <E::ActiveModel as ActiveModelTrait>::default();
        for column in E::Column::iter() {
            let value = self.next()?;
            model.try_set(column, value).map_err(|error| {
                StoreError::fault(format!("column {}: {error}", column.as_str()))
            })?;
        }
        model.try_into_model().map_err(|error| StoreError::fault(error.to_string()))
    }

    fn next(&mut self) -> Result<Value, StoreError> {
        self.0.next().ok_or_else(|| StoreError::fault("a row has too few columns"))
    }
}
