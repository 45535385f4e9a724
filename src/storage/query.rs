//! Small things that query functions share.

use sea_orm::{ConnectionTrait, EntityTrait, Select};

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

/// The text of a LIKE pattern that finds `part` anywhere, with `\` as escape.
pub(super) fn contains_pattern(part: &str) -> String {
    let escaped = part.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}
