//! The SQL of statements: built once if only the values differ, and with lists of few different
//! lengths.
//!
//! SeaORM's query builder writes the SQL. On SQLite, this takes more time than to run a statement
//! by a key; on PostgreSQL, it takes a fifth of that time.

use std::sync::OnceLock;

use sea_orm::sea_query::{Expr, Func, SubQueryStatement};
use sea_orm::{
    ColumnTrait, DbBackend, EntityName, EntityTrait, ExprTrait, IntoSimpleExpr, QueryTrait,
    UpdateMany, Value,
};
use uuid::Uuid;

use super::connection::{Connection, Tx};
use super::statement::{SIZES, Statement};
use crate::domain::OrganizationId;

/// A statement whose SQL never changes. The values in its builder are placeholders: each use gives
/// its own values, of the same types and in the same order.
pub(super) struct Named {
    build: fn() -> SubQueryStatement,
    sqlite: OnceLock<String>,
    postgres: OnceLock<String>,
}

impl Named {
    /// The statement that `build` builds.
    pub(super) const fn new(build: fn() -> SubQueryStatement) -> Self {
        Self { build, sqlite: OnceLock::new(), postgres: OnceLock::new() }
    }

    /// The statement with these values, which are in the order of the SQL.
    pub(super) fn with<const N: usize>(
        &'static self,
        db: &impl Connection,
        values: [Value; N],
    ) -> Statement {
        let backend = db.backend();
        let sql = match backend {
            DbBackend::Postgres => &self.postgres,
            _ => &self.sqlite,
        };
        let sql = sql.get_or_init(|| {
            let built = self.built(backend);
            let kinds = |values: &[Value]| -> Vec<_> {
                values.iter().map(std::mem::discriminant).collect()
            };
            assert_eq!(kinds(&built.values), kinds(&values), "values of {}", built.sql);
            built.sql.into_owned()
        });
        Statement::new(sql.as_str(), values.into())
    }

    /// As `with`, for a statement that updates or deletes rows of an entity's table.
    pub(super) fn changing<E: EntityName + Default, const N: usize>(
        &'static self,
        tx: &Tx,
        values: [Value; N],
    ) -> Statement {
        self.with(tx, values).changing::<E>()
    }

    fn built(&self, backend: DbBackend) -> Statement {
        match (self.build)() {
            SubQueryStatement::SelectStatement(select) => Statement::built(&select, backend),
            SubQueryStatement::InsertStatement(insert) => Statement::built(&insert, backend),
            SubQueryStatement::UpdateStatement(update) => Statement::built(&update, backend),
            SubQueryStatement::DeleteStatement(delete) => Statement::built(&delete, backend),
            SubQueryStatement::WithStatement(with) => Statement::built(&with, backend),
        }
    }
}

/// The query inside a builder of SeaORM's, for [`Named::new`].
pub(super) fn query<Q>(builder: Q) -> SubQueryStatement
where
    Q: QueryTrait,
    Q::QueryStatement: Into<SubQueryStatement>,
{
    builder.into_query().into()
}

/// An update that sets columns, without a condition yet.
pub(super) fn set<E: EntityTrait, const N: usize>(
    _: E,
    columns: [(E::Column, Value); N],
) -> UpdateMany<E> {
    columns.into_iter().fold(E::update_many(), |update, (column, value)| {
        update.col_expr(column, Expr::value(value))
    })
}

/// Whether a column has one of these values. The list of values has one of few lengths: the last
/// value is repeated to fill it.
pub(super) fn is_one_of<C, V>(column: C, values: impl IntoIterator<Item = V>) -> Expr
where
    C: ColumnTrait,
    V: Into<Value>,
{
    column.is_in(padded(values.into_iter().map(Into::into).collect()))
}

/// Whether a row belongs to an organization, in a statement that finds few rows by other values.
///
/// SQLite keeps no statistics here, and would use an index on the organization to read all of its
/// rows. The condition is an expression, for which there is no index.
pub(super) fn belongs_to(column: impl ColumnTrait, organization: OrganizationId) -> Expr {
    let column = || column.into_simple_expr();
    Expr::from(Func::coalesce([column(), column()])).eq(Uuid::from(organization))
}

/// The number of values that [`is_one_of`] gets in a query that also compares the organization and
/// uses an index on both. On SQLite it is one: with a list, SQLite would read all rows of the
/// organization.
pub(super) fn size_beside_organization(db: &impl Connection) -> usize {
    match db.backend() {
        DbBackend::Postgres => SIZES[0],
        _ => 1,
    }
}

fn padded(mut values: Vec<Value>) -> Vec<Value> {
    let size = SIZES.into_iter().rev().find(|size| *size >= values.len());
    if let (Some(size), Some(last)) = (size, values.last().cloned()) {
        values.resize(size, last);
    }
    values
}

/// The LIKE pattern that finds `part` anywhere, with `\` as the escape character.
pub(super) fn contains_pattern(part: &str) -> String {
    let escaped = part.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p42_lists_of_values_are_padded_to_few_lengths() {
        for (number, expected) in [(0, 0), (1, 1), (2, 8), (8, 8), (9, 64), (65, 500), (501, 501)] {
            let values: Vec<Value> = (0..number).map(Value::from).collect();
            let padded = padded(values.clone());
            assert_eq!(padded.len(), expected, "{number}");
            assert!(padded.iter().all(|value| values.contains(value)));
            assert!(values.iter().all(|value| padded.contains(value)));
        }
    }
}
