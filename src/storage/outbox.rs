//! Queries on `outbox`: mails that wait to be sent. A row refers to an invitation; the mail
//! is rendered when it is sent.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::connection::{Connection, Db, Tx, delete, insert, insert_many, models, update};
use super::entity::outbox;
use super::lease::{self, Leased, held};
use super::sql::is_one_of;
use super::statement::SIZES;
use crate::domain::{InviteId, OrganizationId, OutboxId, Timestamp, TraceParent};
use crate::error::Result;

/// A mail that a worker has claimed and sends now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    pub id: OutboxId,
    pub organization: OrganizationId,
    pub invite: InviteId,
    /// The number of earlier attempts.
    pub attempts: i64,
    /// The trace of the request that caused it.
    pub trace: Option<TraceParent>,
    /// 0: the invitation itself; 1 or more: a reminder.
    pub reminder: u32,
}

/// Enqueues an invitation's mail, in place of an older one of the same invitation.
pub async fn enqueue(
    tx: &Tx,
    organization: OrganizationId,
    invite: InviteId,
    trace: Option<TraceParent>,
    now: Timestamp,
) -> Result<()> {
    let older = outbox::Column::InviteId.eq(Uuid::from(invite));
    delete(tx, outbox::Entity::delete_many().filter(older)).await?;
    enqueue_new(tx, organization, vec![invite], trace, now).await
}

/// Enqueues the mails of new invitations.
pub async fn enqueue_new(
    tx: &Tx,
    organization: OrganizationId,
    invites: Vec<InviteId>,
    trace: Option<TraceParent>,
    now: Timestamp,
) -> Result<()> {
    let mails = invites.into_iter().map(|invite| (organization, invite));
    enqueue_all(tx, mails.collect(), trace, now).await
}

/// As [`enqueue_new`], for invitations of several organizations.
pub async fn enqueue_all(
    tx: &Tx,
    mails: Vec<(OrganizationId, InviteId)>,
    trace: Option<TraceParent>,
    now: Timestamp,
) -> Result<()> {
    let trace = trace.map(|trace| trace.to_string());
    let rows = mails.into_iter().map(|(organization, invite)| outbox::ActiveModel {
        id: Set(OutboxId::generate(now).into()),
        organization_id: Set(organization.into()),
        invite_id: Set(invite.into()),
        attempts: Set(0),
        next_attempt_at: Set(now.as_micros()),
        claimed_by: Set(None),
        created_at: Set(now.as_micros()),
        traceparent: Set(trace.clone()),
        reminder: Set(0),
    });
    insert_many(tx, rows.collect()).await
}

/// Enqueues a reminder of an invitation, to be sent at `due`.
pub async fn enqueue_reminder(
    tx: &Tx,
    organization: OrganizationId,
    invite: InviteId,
    (reminder, due): (u32, Timestamp),
    now: Timestamp,
) -> Result<()> {
    let row = outbox::ActiveModel {
        id: Set(OutboxId::generate(now).into()),
        organization_id: Set(organization.into()),
        invite_id: Set(invite.into()),
        attempts: Set(0),
        next_attempt_at: Set(due.as_micros()),
        claimed_by: Set(None),
        // A reminder counts as waiting only from its due time on.
        created_at: Set(due.as_micros()),
        traceparent: Set(None),
        reminder: Set(reminder.into()),
    };
    insert(tx, row).await
}

/// Moves the reminder of an invitation by the number of microseconds by which the invitation's
/// expiry has been moved.
pub async fn move_reminder(tx: &Tx, invite: InviteId, by_micros: i64) -> Result<()> {
    use outbox::Column;

    let moved = |column: Column| Expr::col(column).add(by_micros);
    let its = outbox::Entity::update_many()
        .col_expr(Column::NextAttemptAt, moved(Column::NextAttemptAt))
        .col_expr(Column::CreatedAt, moved(Column::CreatedAt))
        .filter(Column::InviteId.eq(Uuid::from(invite)))
        .filter(Column::Reminder.gt(0_i64))
        // A reminder that is being sent, or had an attempt, is not moved.
        .filter(Column::ClaimedBy.is_null())
        .filter(Column::Attempts.eq(0_i64));
    update(tx, its).await.map(drop)
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
    let rows = lease::claim::<outbox::Entity>(tx, claimant, now, lease_ends, limit).await?;
    let claimed = rows.into_iter().map(|row| Claimed {
        id: row.id.into(),
        organization: row.organization_id.into(),
        invite: row.invite_id.into(),
        attempts: row.attempts,
        trace: row.traceparent.as_deref().and_then(TraceParent::parse),
        reminder: u32::try_from(row.reminder).unwrap_or(u32::MAX),
    });
    Ok(claimed.collect())
}

/// Whether `claimant` still holds a mail: it is neither enqueued again nor claimed by
/// another worker.
pub async fn is_held(db: &impl Connection, id: OutboxId, claimant: Uuid) -> Result<bool> {
    let select = outbox::Entity::find().filter(held::<outbox::Entity>(id, claimant));
    Ok(!models(db, select).await?.is_empty())
}

/// Schedules the next attempt of a claimed mail.
pub async fn postpone(tx: &Tx, id: OutboxId, claimant: Uuid, until: Timestamp) -> Result<()> {
    let postponed = outbox::Entity::update_many()
        .col_expr(outbox::Column::Attempts, Expr::cust("attempts + 1"))
        .col_expr(outbox::Column::NextAttemptAt, Expr::value(until.as_micros()))
        .col_expr(outbox::Column::ClaimedBy, Expr::value(None::<Uuid>))
        .filter(held::<outbox::Entity>(id, claimant));
    update(tx, postponed).await.map(drop)
}

/// Deletes a claimed mail that is sent, given up or no longer needed; returns whether the
/// claimant still held it.
pub async fn finish(tx: &Tx, id: OutboxId, claimant: Uuid) -> Result<bool> {
    let finished = outbox::Entity::delete_many().filter(held::<outbox::Entity>(id, claimant));
    Ok(delete(tx, finished).await? == 1)
}

/// Deletes the mails of these invitations; a mail that is being sent is then not recorded as sent.
pub async fn delete_of(tx: &Tx, invites: &[InviteId]) -> Result<()> {
    for ids in invites.chunks(SIZES[0]) {
        let ids = is_one_of(outbox::Column::InviteId, ids.iter().copied().map(Uuid::from));
        delete(tx, outbox::Entity::delete_many().filter(ids)).await?;
    }
    Ok(())
}

/// Whether any mail is due.
pub async fn is_any_due(db: &impl Connection, now: Timestamp) -> Result<bool> {
    lease::is_any_due::<outbox::Entity>(db, now).await
}

/// How many mails wait, and since when the oldest one waits. A reminder counts as waiting from its
/// due time on.
pub async fn backlog(db: &Db, now: Timestamp) -> Result<(i64, Option<Timestamp>)> {
    lease::backlog::<outbox::Entity>(db, now).await
}

impl Leased for outbox::Entity {
    const ID: outbox::Column = outbox::Column::Id;
    const NEXT_ATTEMPT_AT: outbox::Column = outbox::Column::NextAttemptAt;
    const CLAIMED_BY: outbox::Column = outbox::Column::ClaimedBy;

    fn due(row: &outbox::Model) -> (Uuid, i64) {
        (row.id, row.next_attempt_at)
    }
}
