//! Queries on `outbox`: mail that waits to be sent. A row is a reference to an
//! invitation; whoever sends it renders it then.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use uuid::Uuid;

use super::Tx;
use super::entity::outbox;
use super::error::OrError;
use super::query::insert_many;
use super::query::unique;
use crate::domain::{InviteId, OrganizationId, OutboxId, Timestamp};
use crate::error::Result;

/// A mail that somebody has claimed and sends now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Its id.
    pub id: OutboxId,
    /// To which organization the invitation is.
    pub organization: OrganizationId,
    /// The invitation.
    pub invite: InviteId,
    /// How often it has been tried before.
    pub attempts: i64,
}

/// Lets an invitation's mail wait to be sent. One that waits already is the older
/// one, and goes.
pub async fn enqueue(
    tx: &Tx,
    organization: OrganizationId,
    invite: InviteId,
    now: Timestamp,
) -> Result<()> {
    outbox::Entity::delete_many()
        .filter(outbox::Column::InviteId.eq(Uuid::from(invite)))
        .exec(tx)
        .await
        .or_error()?;
    enqueue_new(tx, organization, vec![invite], now).await
}

/// The same for invitations that were just made.
pub async fn enqueue_new(
    tx: &Tx,
    organization: OrganizationId,
    invites: Vec<InviteId>,
    now: Timestamp,
) -> Result<()> {
    let rows = invites.into_iter().map(|invite| outbox::ActiveModel {
        id: Set(OutboxId::generate(now).into()),
        organization_id: Set(organization.into()),
        invite_id: Set(invite.into()),
        attempts: Set(0),
        next_attempt_at: Set(now.as_micros()),
        claimed_by: Set(None),
        created_at: Set(now.as_micros()),
    });
    insert_many(tx, rows.collect()).await
}

/// Claims at most `limit` mails that are due, for `claimant`, until `lease_ends`;
/// then they are due again, whatever has become of the claimant.
pub async fn claim(
    tx: &Tx,
    claimant: Uuid,
    now: Timestamp,
    lease_ends: Timestamp,
    limit: u64,
) -> Result<Vec<Claimed>> {
    let due = outbox::Entity::find()
        .filter(outbox::Column::NextAttemptAt.lte(now.as_micros()))
        .order_by_asc(outbox::Column::NextAttemptAt)
        .limit(limit)
        .all(tx)
        .await
        .or_error()?;
    let mut claimed = Vec::with_capacity(due.len());
    for row in due {
        // Whoever moves the time on first has it; another replica finds it moved.
        let done = outbox::Entity::update_many()
            .col_expr(outbox::Column::ClaimedBy, Expr::value(claimant))
            .col_expr(outbox::Column::NextAttemptAt, Expr::value(lease_ends.as_micros()))
            .filter(outbox::Column::Id.eq(row.id))
            .filter(outbox::Column::NextAttemptAt.eq(row.next_attempt_at))
            .exec(tx)
            .await
            .or_error()?;
        if done.rows_affected == 1 {
            claimed.push(Claimed {
                id: row.id.into(),
                organization: row.organization_id.into(),
                invite: row.invite_id.into(),
                attempts: row.attempts,
            });
        }
    }
    Ok(claimed)
}

/// Whether `claimant` still holds a mail: not sent again, not claimed by another.
pub async fn is_held(db: &impl ConnectionTrait, id: OutboxId, claimant: Uuid) -> Result<bool> {
    let select =
        outbox::Entity::find_by_id(Uuid::from(id)).filter(outbox::Column::ClaimedBy.eq(claimant));
    Ok(unique(select, db).await?.is_some())
}

/// Lets a claimed mail wait until it is tried again.
pub async fn postpone(tx: &Tx, id: OutboxId, claimant: Uuid, until: Timestamp) -> Result<()> {
    outbox::Entity::update_many()
        .col_expr(outbox::Column::Attempts, Expr::cust("attempts + 1"))
        .col_expr(outbox::Column::NextAttemptAt, Expr::value(until.as_micros()))
        .col_expr(outbox::Column::ClaimedBy, Expr::value(None::<Uuid>))
        .filter(outbox::Column::Id.eq(Uuid::from(id)))
        .filter(outbox::Column::ClaimedBy.eq(claimant))
        .exec(tx)
        .await
        .or_error()?;
    Ok(())
}

/// Takes a claimed mail out: sent, given up, or not wanted any more. Answers
/// whether it was still the claimant's.
pub async fn finish(tx: &Tx, id: OutboxId, claimant: Uuid) -> Result<bool> {
    let done = outbox::Entity::delete_many()
        .filter(outbox::Column::Id.eq(Uuid::from(id)))
        .filter(outbox::Column::ClaimedBy.eq(claimant))
        .exec(tx)
        .await
        .or_error()?;
    Ok(done.rows_affected == 1)
}

/// Whether any mail is due.
pub async fn is_any_due(db: &impl ConnectionTrait, now: Timestamp) -> Result<bool> {
    let due = outbox::Entity::find()
        .filter(outbox::Column::NextAttemptAt.lte(now.as_micros()))
        // Said so that the index is read from its beginning.
        .order_by_asc(outbox::Column::NextAttemptAt)
        .limit(1)
        .all(db)
        .await
        .or_error()?;
    Ok(!due.is_empty())
}
