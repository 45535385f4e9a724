//! Rows that workers claim for a limited time: several replicas work on one table, and if a replica
//! ends, the rows that it has claimed are due again later.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    TryIntoModel,
};
use uuid::Uuid;

use super::connection::{Connection, Db, Tx, all, models, update};
use crate::domain::Timestamp;
use crate::error::Result;

/// A table whose rows are claimed.
pub(super) trait Leased: EntityTrait<ActiveModel: ActiveModelTrait<Entity = Self>>
where
    Self::ActiveModel: TryIntoModel<Self::Model>,
{
    const ID: Self::Column;
    /// When a row is due; while it is claimed, when the claim ends.
    const NEXT_ATTEMPT_AT: Self::Column;
    const CLAIMED_BY: Self::Column;

    /// The id of a row, and when it is due.
    fn due(row: &Self::Model) -> (Uuid, i64);
}

/// Claims at most `limit` rows that are due, for `claimant`. At `lease_ends` they are due
/// again, even if the claimant has ended.
pub(super) async fn claim<E: Leased>(
    tx: &Tx,
    claimant: Uuid,
    now: Timestamp,
    lease_ends: Timestamp,
    limit: u64,
) -> Result<Vec<E::Model>>
where
    E::ActiveModel: TryIntoModel<E::Model>,
{
    let due = E::find()
        .filter(E::NEXT_ATTEMPT_AT.lte(now.as_micros()))
        .order_by_asc(E::NEXT_ATTEMPT_AT)
        .limit(limit);
    let due = models(tx, due).await?;
    let mut claimed = Vec::with_capacity(due.len());
    for row in due {
        let (id, at) = E::due(&row);
        // The first replica that changes the time gets the row; the update of any other replica
        // finds no row with this time.
        let claim = E::update_many()
            .col_expr(E::CLAIMED_BY, Expr::value(claimant))
            .col_expr(E::NEXT_ATTEMPT_AT, Expr::value(lease_ends.as_micros()))
            .filter(E::ID.eq(id))
            .filter(E::NEXT_ATTEMPT_AT.eq(at));
        if update(tx, claim).await? == 1 {
            claimed.push(row);
        }
    }
    Ok(claimed)
}

/// The condition that `claimant` still holds a row.
pub(super) fn held<E: Leased>(id: impl Into<Uuid>, claimant: Uuid) -> Condition
where
    E::ActiveModel: TryIntoModel<E::Model>,
{
    Condition::all().add(E::ID.eq(id.into())).add(E::CLAIMED_BY.eq(claimant))
}

/// Whether any row is due.
pub(super) async fn is_any_due<E: Leased>(db: &impl Connection, now: Timestamp) -> Result<bool>
where
    E::ActiveModel: TryIntoModel<E::Model>,
{
    let due = E::find()
        .filter(E::NEXT_ATTEMPT_AT.lte(now.as_micros()))
        // With this order the index is read from its beginning.
        .order_by_asc(E::NEXT_ATTEMPT_AT)
        .limit(1);
    Ok(!models(db, due).await?.is_empty())
}

/// How many rows wait at `now`, and since when the oldest one waits.
pub(super) async fn backlog<E: EntityTrait>(
    db: &Db,
    now: Timestamp,
) -> Result<(i64, Option<Timestamp>)> {
    let numbers = E::find()
        .select_only()
        .column_as(Expr::cust("COUNT(*)"), "waiting")
        .column_as(Expr::cust("MIN(created_at)"), "oldest")
        .filter(Expr::cust("created_at").lte(now.as_micros()));
    let row = all(&db.for_lists(), &numbers).await?.into_iter().next();
    let Some(mut row) = row else { return Ok((0, None)) };
    let (waiting, oldest): (i64, Option<i64>) = (row.value()?, row.value()?);
    Ok((waiting, oldest.map(Timestamp::from_micros)))
}
