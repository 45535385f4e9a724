//! Queries on `webhook_deliveries`: events that an endpoint has not accepted yet. These queries do
//! not check the organization: the calling code has already found the endpoint by it.

use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::connection::{self, Connection, Db, Tx, insert_many, models, update};
use super::entity::webhook_delivery::{self, Column};
use super::lease;
use super::sql::is_one_of;
use crate::domain::{AuditEventId, Timestamp, WebhookDelivery, WebhookDeliveryId, WebhookId};
use crate::error::Result;

/// A failed attempt, and the time of the next one.
#[derive(Debug, Clone)]
pub struct FailedAttempt {
    pub at: Timestamp,
    pub next_at: Timestamp,
    pub status: Option<u16>,
    pub reason: String,
    pub answer: String,
}

/// An event to deliver later.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    pub event: AuditEventId,
    pub event_type: String,
    /// `None`: there was no attempt, and it is due now.
    pub failed: Option<FailedAttempt>,
}

/// Stores events to deliver later, in place of older deliveries of the same events.
pub async fn insert(
    tx: &Tx,
    webhook: WebhookId,
    new: Vec<NewDelivery>,
    now: Timestamp,
) -> Result<()> {
    for events in new.chunks(500) {
        let events = events.iter().map(|delivery| Uuid::from(delivery.event));
        let older = webhook_delivery::Entity::delete_many()
            .filter(Column::WebhookId.eq(Uuid::from(webhook)))
            .filter(is_one_of(Column::EventId, events));
        connection::delete(tx, older).await?;
    }
    let rows = new.into_iter().map(|delivery| {
        let NewDelivery { event, event_type, failed } = delivery;
        webhook_delivery::ActiveModel {
            id: Set(WebhookDeliveryId::generate(now).into()),
            webhook_id: Set(webhook.into()),
            event_id: Set(event.into()),
            event_type: Set(event_type),
            attempts: Set(i64::from(failed.is_some())),
            next_attempt_at: Set(failed.as_ref().map_or(now, |it| it.next_at).as_micros()),
            last_attempt_at: Set(failed.as_ref().map(|it| it.at.as_micros())),
            status: Set(failed.as_ref().and_then(|it| it.status).map(i64::from)),
            reason: Set(failed.as_ref().map(|it| it.reason.clone()).unwrap_or_default()),
            answer: Set(failed.map(|it| it.answer).unwrap_or_default()),
            created_at: Set(now.as_micros()),
        }
    });
    insert_many(tx, rows.collect()).await
}

/// Stores another failed attempt.
pub async fn fail(tx: &Tx, id: WebhookDeliveryId, failed: &FailedAttempt) -> Result<()> {
    let changes = webhook_delivery::Entity::update_many()
        .col_expr(Column::Attempts, Expr::cust("attempts + 1"))
        .col_expr(Column::NextAttemptAt, Expr::value(failed.next_at.as_micros()))
        .col_expr(Column::LastAttemptAt, Expr::value(failed.at.as_micros()))
        .col_expr(Column::Status, Expr::value(failed.status.map(i64::from)))
        .col_expr(Column::Reason, Expr::value(failed.reason.as_str()))
        .col_expr(Column::Answer, Expr::value(failed.answer.as_str()))
        .filter(Column::Id.eq(Uuid::from(id)));
    update(tx, changes).await.map(drop)
}

/// Deletes deliveries that are accepted or can no longer be made.
pub async fn finish(tx: &Tx, ids: &[WebhookDeliveryId]) -> Result<()> {
    for ids in ids.chunks(500) {
        let these = is_one_of(Column::Id, ids.iter().copied().map(Uuid::from));
        connection::delete(tx, webhook_delivery::Entity::delete_many().filter(these)).await?;
    }
    Ok(())
}

/// At most `limit` deliveries of an endpoint that are due, the longest due first.
pub async fn due(
    db: &Db,
    webhook: WebhookId,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<WebhookDelivery>> {
    let due = webhook_delivery::Entity::find()
        .filter(Column::WebhookId.eq(Uuid::from(webhook)))
        .filter(Column::NextAttemptAt.lte(now.as_micros()))
        .order_by_asc(Column::NextAttemptAt)
        .limit(limit);
    Ok(models(db, due).await?.into_iter().map(Into::into).collect())
}

/// The time of an endpoint's next attempt; `None` if no delivery waits.
pub async fn next_due(db: &impl Connection, webhook: WebhookId) -> Result<Option<Timestamp>> {
    let first = webhook_delivery::Entity::find()
        .filter(Column::WebhookId.eq(Uuid::from(webhook)))
        .order_by_asc(Column::NextAttemptAt)
        .limit(1);
    let first = models(db, first).await?.into_iter().next();
    Ok(first.map(|row| Timestamp::from_micros(row.next_attempt_at)))
}

/// At most `limit` deliveries of an endpoint after this one, oldest first.
pub async fn page(
    db: &Db,
    webhook: WebhookId,
    after: Option<WebhookDeliveryId>,
    limit: u64,
) -> Result<Vec<WebhookDelivery>> {
    let mut select = webhook_delivery::Entity::find()
        .filter(Column::WebhookId.eq(Uuid::from(webhook)))
        .order_by_asc(Column::Id)
        .limit(limit);
    if let Some(after) = after {
        select = select.filter(Column::Id.gt(Uuid::from(after)));
    }
    Ok(models(&db.for_lists(), select).await?.into_iter().map(Into::into).collect())
}

/// How many deliveries of an endpoint wait; there are not many more than
/// [`MAX_WAITING_DELIVERIES`](crate::domain::MAX_WAITING_DELIVERIES).
pub async fn count_of(db: &impl Connection, webhook: WebhookId) -> Result<u64> {
    let its = Column::WebhookId.eq(Uuid::from(webhook));
    connection::count(db, webhook_delivery::Entity::find().filter(its)).await
}

/// How many deliveries of all endpoints wait, and since when the oldest one waits.
pub async fn backlog(db: &Db, now: Timestamp) -> Result<(i64, Option<Timestamp>)> {
    lease::backlog::<webhook_delivery::Entity>(db, now).await
}
