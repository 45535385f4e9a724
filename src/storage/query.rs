//! Small things that query functions share.

use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, Select};

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

/// Rows in one statement: as many as both engines take values for, whatever the table
/// (SQLite: 32,766).
const ROWS_TOGETHER: usize = 500;

/// Inserts rows, many in a statement.
///
/// # Errors
/// As the database has them.
pub(super) async fn insert_many<A>(tx: &impl ConnectionTrait, mut rows: Vec<A>) -> Result<()>
where
    A: ActiveModelTrait,
{
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(ROWS_TOGETHER));
        A::Entity::insert_many(rows).exec_without_returning(tx).await.or_error()?;
        rows = rest;
    }
    Ok(())
}

/// The text of a LIKE pattern that finds `part` anywhere, with `\` as escape.
pub(super) fn contains_pattern(part: &str) -> String {
    let escaped = part.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}
