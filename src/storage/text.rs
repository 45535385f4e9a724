//! SQL that is built once.
//!
//! To build a statement's text costs more than to run it by a key on SQLite, and as
//! much as a fifth of it on PostgreSQL. What is asked most keeps its text; only the
//! values are new each time.

use std::sync::OnceLock;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult,
    Insert, Iterable, QueryTrait, Statement, UpdateMany, Value,
};

use super::error::OrError;
use super::tx::Tx;
use crate::error::Result;

/// The text of one place's statement for each engine, once it was built.
pub(super) struct Text {
    sqlite: OnceLock<String>,
    postgres: OnceLock<String>,
}

impl Text {
    /// Not built yet.
    pub(super) const fn new() -> Self {
        Self { sqlite: OnceLock::new(), postgres: OnceLock::new() }
    }

    /// What `build` builds, where nothing but `values` (in the text's order) ever
    /// differs. Debug builds build it every time and compare, so that each test of a
    /// query tests this too.
    pub(super) fn statement<Q: QueryTrait>(
        &self,
        db: &impl ConnectionTrait,
        values: impl Into<Vec<Value>>,
        build: impl FnOnce() -> Q,
    ) -> Statement {
        let backend = db.get_database_backend();
        let text = match backend {
            DbBackend::Postgres => &self.postgres,
            _ => &self.sqlite,
        };
        let values = values.into();
        let sql = if cfg!(debug_assertions) {
            let built = build().build(backend);
            assert_eq!(built.values.as_ref().map(|values| &values.0), Some(&values));
            assert_eq!(text.get_or_init(|| built.sql.clone()), &built.sql);
            built.sql
        } else {
            text.get_or_init(|| build().build(backend).sql).clone()
        };
        Statement::from_sql_and_values(backend, sql, values)
    }

    /// Inserts a row all of whose columns are set, by [`Tx::write_later`].
    ///
    /// # Errors
    /// As the database has them.
    pub(super) async fn insert<A>(&self, tx: &Tx, row: A) -> Result<()>
    where
        A: ActiveModelTrait,
    {
        let values: Vec<Value> = <A::Entity as EntityTrait>::Column::iter()
            .filter_map(|column| match row.get(column) {
                ActiveValue::Set(value) | ActiveValue::Unchanged(value) => Some(value),
                ActiveValue::NotSet => None,
            })
            .collect();
        let statement = self.statement(tx, values, || Insert::one(row));
        tx.write_later::<A::Entity>(statement).await
    }

    /// What sets columns of the rows that `only` leaves, whose values come last.
    pub(super) fn update<E, const N: usize, const M: usize>(
        &self,
        tx: &Tx,
        _: E,
        set: [(E::Column, Value); N],
        of: [Value; M],
        only: impl FnOnce(UpdateMany<E>) -> UpdateMany<E>,
    ) -> Statement
    where
        E: EntityTrait,
    {
        let values: Vec<Value> = set.iter().map(|(_, value)| value.clone()).chain(of).collect();
        self.statement(tx, values, || {
            let rows = set.into_iter().fold(E::update_many(), |rows, (column, value)| {
                rows.col_expr(column, Expr::value(value))
            });
            only(rows)
        })
    }
}

/// The one row that a unique key selects.
///
/// # Errors
/// As the database has them.
pub(super) async fn one<M: FromQueryResult>(
    db: &impl ConnectionTrait,
    statement: Statement,
) -> Result<Option<M>> {
    let row = db.query_one_raw(statement).await.or_error()?;
    row.map(|row| M::from_query_result(&row, "")).transpose().or_error()
}

/// The same of two joined tables, by SeaORM's names for their columns.
///
/// # Errors
/// As the database has them.
pub(super) async fn one_of_two<M: FromQueryResult, N: FromQueryResult>(
    db: &impl ConnectionTrait,
    statement: Statement,
) -> Result<Option<(M, Option<N>)>> {
    let row = db.query_one_raw(statement).await.or_error()?;
    let both = |row| -> std::result::Result<_, DbErr> {
        Ok((M::from_query_result(&row, "A_")?, N::from_query_result_optional(&row, "B_")?))
    };
    row.map(both).transpose().or_error()
}
