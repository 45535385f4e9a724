//! Small things that query functions share.

use sea_orm::sea_query::SimpleExpr;
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, Select, Value};

use super::error::OrError;
use crate::error::Result;

/// The one row that a unique key selects. Without a LIMIT, which SeaORM binds
/// and SQLite would compile anew at every execution.
pub(super) async fn unique<E>(
    select: Select<E>,
    db: &impl ConnectionTrait,
) -> Result<Option<E::Model>>
where
    E: EntityTrait,
{
    Ok(select.all(db).await.or_error()?.into_iter().next())
}

/// The numbers of rows or values that statements are made for, largest first. Each number
/// is a statement of its own, which PostgreSQL keeps on each connection: few, whatever
/// the callers ask for. Both engines take as many values (SQLite: 32,766).
const SIZES: [usize; 4] = [500, 64, 8, 1];

/// Inserts rows, many in a statement.
///
/// # Errors
/// As the database has them.
pub(super) async fn insert_many<A>(tx: &impl ConnectionTrait, mut rows: Vec<A>) -> Result<()>
where
    A: ActiveModelTrait,
{
    for size in SIZES {
        while rows.len() >= size {
            let rest = rows.split_off(size);
            A::Entity::insert_many(rows).exec_without_returning(tx).await.or_error()?;
            rows = rest;
        }
    }
    Ok(())
}

/// Whether a column has one of these values: a condition of one of few lengths, with the
/// last value repeated.
pub(super) fn is_one_of<C, V>(column: C, values: impl IntoIterator<Item = V>) -> SimpleExpr
where
    C: ColumnTrait,
    V: Into<Value>,
{
    column.is_in(padded(values.into_iter().map(Into::into).collect()))
}

fn padded(mut values: Vec<Value>) -> Vec<Value> {
    let size = SIZES.into_iter().rev().find(|size| *size >= values.len());
    if let (Some(size), Some(last)) = (size, values.last().cloned()) {
        values.resize(size, last);
    }
    values
}

/// The text of a LIKE pattern that finds `part` anywhere, with `\` as escape.
pub(super) fn contains_pattern(part: &str) -> String {
    let escaped = part.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p42_conditions_have_few_lengths_and_keep_their_values() {
        for (number, expected) in [(0, 0), (1, 1), (2, 8), (8, 8), (9, 64), (65, 500), (501, 501)] {
            let values: Vec<Value> = (0..number).map(Value::from).collect();
            let padded = padded(values.clone());
            assert_eq!(padded.len(), expected, "{number}");
            assert!(padded.iter().all(|value| values.contains(value)));
            assert!(values.iter().all(|value| padded.contains(value)));
        }
    }
}
