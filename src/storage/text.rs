//! SQL that is built once.
//!
//! To build a statement's text costs more than to run it by a key on SQLite, and as
//! much as a fifth of it on PostgreSQL. What is asked most keeps its text; only the
//! values are new each time.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

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

/// The texts of one place's inserts: a column that is to be NULL is left out, for it
/// is NULL anyway, and each that is given has its price on the way to the row.
pub(super) struct InsertText(RwLock<Vec<(u64, Arc<Text>)>>);

impl InsertText {
    /// None built yet.
    pub(super) const fn new() -> Self {
        Self(RwLock::new(Vec::new()))
    }

    /// Inserts a row all of whose columns are set, by [`Tx::write_later`].
    ///
    /// # Errors
    /// As the database has them.
    pub(super) async fn insert<A>(&self, tx: &Tx, mut row: A) -> Result<()>
    where
        A: ActiveModelTrait,
    {
        let mut given = 0;
        let mut values = Vec::with_capacity(columns::<A>().count());
        for (place, column) in columns::<A>() {
            match row.get(column) {
                ActiveValue::Set(value) if !is_null(&value) => {
                    given |= 1 << place;
                    values.push(value);
                }
                _ => {}
            }
        }
        let statement = self.of(given).statement(tx, values, || {
            for (_, column) in columns::<A>().filter(|(place, _)| given & (1 << place) == 0) {
                row.not_set(column);
            }
            Insert::one(row)
        });
        tx.write_later::<A::Entity>(statement).await
    }

    /// The text that gives these columns.
    fn of(&self, given: u64) -> Arc<Text> {
        let find = |texts: &[(u64, Arc<Text>)]| {
            let found = texts.iter().find(|(columns, _)| *columns == given);
            found.map(|(_, text)| Arc::clone(text))
        };
        let known = find(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        known.unwrap_or_else(|| {
            let mut texts = self.0.write().unwrap_or_else(PoisonError::into_inner);
            find(&texts).unwrap_or_else(|| {
                let text = Arc::new(Text::new());
                texts.push((given, Arc::clone(&text)));
                text
            })
        })
    }
}

/// A row's columns, each with its place.
fn columns<A: ActiveModelTrait>()
-> impl Iterator<Item = (usize, <A::Entity as EntityTrait>::Column)> {
    <A::Entity as EntityTrait>::Column::iter().enumerate()
}

/// Whether a column of one of our types is to be NULL.
fn is_null(value: &Value) -> bool {
    use Value::{BigInt, Bool, Bytes, String, Uuid};

    matches!(value, Bool(None) | BigInt(None) | String(None) | Bytes(None) | Uuid(None))
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
