//! Queries on `outbox`: mails that wait to be sent. A row refers to an invitation; the mail
//! is rendered when it is sent.

use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::connection::{Connection, Tx, delete, insert_many, models, update};
use super::entity::outbox;
use super::sql::is_one_of;
use super::statement::SIZES;
use crate::domain::{InviteId, OrganizationId, OutboxId, Timestamp};
use crate::error::Result;

/// A mail that a worker has claimed and sends now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    pub id: OutboxId,
    pub organization: OrganizationId,
    pub invite: InviteId,
    /// The number of earlier attempts.
    pub attempts: i64,
}

/// Enqueues an invitation's mail, in place of an older one of the same invitation.
pub async fn enqueue(
    tx: &Tx,
    organization: OrganizationId,
    invite: InviteId,
    now: Timestamp,
) -> Result<()> {
    let older = outbox::Column::InviteId.eq(Uuid::from(invite));
    delete(tx, outbox::Entity::delete_many().filter(older)).await?;
    enqueue_new(tx, organization, vec![invite], now).await
}

/// Enqueues the mails of new invitations.
pub async fn enqueue_new(
    tx: &Tx,
    organization: OrganizationId,
    invites: Vec<InviteId>,
    now: Timestamp,
) -> Result<()> {
    let mails = invites.into_iter().map(|invite| (organization, invite));
    enqueue_all(tx, mails.collect(), now).await
}

/// The same for invitations of several organizations.
pub async fn enqueue_all(
    tx: &Tx,
    mails: Vec<(OrganizationId, InviteId)>,
    now: Timestamp,
) -> Result<()> {
    let rows = mails.into_iter().map(|(organization, invite)| outbox::ActiveModel {
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

/// Claims at most `limit` mails that are due, for `claimant`. At `lease_ends` they are due
/// again, even if the claimant has ended.
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
        .limit(limit);
    let due = models(tx, due).await?;
    let mut claimed = Vec::with_capacity(due.len());
    for row in due {
        // The first replica that changes the time has the mail; another one finds it changed.
        let claim = outbox::Entity::update_many()
            .col_expr(outbox::Column::ClaimedBy, Expr::value(claimant))
            .col_expr(outbox::Column::NextAttemptAt, Expr::value(lease_ends.as_micros()))
            .filter(outbox::Column::Id.eq(row.id))
            .filter(outbox::Column::NextAttemptAt.eq(row.next_attempt_at));
        if update(tx, claim).await? == 1 {
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

/// Whether `claimant` still holds a mail: it is neither enqueued again nor claimed by
/// another worker.
pub async fn is_held(db: &impl Connection, id: OutboxId, claimant: Uuid) -> Result<bool> {
    let select =
        outbox::Entity::find_by_id(Uuid::from(id)).filter(outbox::Column::ClaimedBy.eq(claimant));
    Ok(!models(db, select).await?.is_empty())
}

/// Schedules the next attempt of a claimed mail.
pub async fn postpone(tx: &Tx, id: OutboxId, claimant: Uuid, until: Timestamp) -> Result<()> {
    let postponed = outbox::Entity::update_many()
        .col_expr(outbox::Column::Attempts, Expr::cust("attempts + 1"))
        .col_expr(outbox::Column::NextAttemptAt, Expr::value(until.as_micros()))
        .col_expr(outbox::Column::ClaimedBy, Expr::value(None::<Uuid>))
        .filter(outbox::Column::Id.eq(Uuid::from(id)))
        .filter(outbox::Column::ClaimedBy.eq(claimant));
    update(tx, postponed).await.map(drop)
}

/// Deletes a claimed mail that is sent, given up or no longer needed; returns whether the
/// claimant still held it.
pub async fn finish(tx: &Tx, id: OutboxId, claimant: Uuid) -> Result<bool> {
    let finished = outbox::Entity::delete_many()
        .filter(outbox::Column::Id.eq(Uuid::from(id)))
        .filter(outbox::Column::ClaimedBy.eq(claimant));
    Ok(delete(tx, finished).await? == 1)
}

/// Deletes the mails of these invitations; one that is being sent is not recorded as sent.
pub async fn delete_of(tx: &Tx, invites: &[InviteId]) -> Result<()> {
    for ids in invites.chunks(SIZES[0]) {
        let ids = is_one_of(outbox::Column::InviteId, ids.iter().copied().map(Uuid::from));
        delete(tx, outbox::Entity::delete_many().filter(ids)).await?;
    }
    Ok(())
}

/// Whether any mail is due.
pub async fn is_any_due(db: &impl Connection, now: Timestamp) -> Result<bool> {
    let due = outbox::Entity::find()
        .filter(outbox::Column::NextAttemptAt.lte(now.as_micros()))
        // With this order the index is read from its beginning.
        .order_by_asc(outbox::Column::NextAttemptAt)
        .limit(1);
    Ok(!models(db, due).await?.is_empty())
}
