//! Queries on `webhooks` for the worker, which claims an endpoint before it sends to it.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::connection::{Connection, Db, Tx, models, update};
use super::entity::NEVER;
use super::entity::webhook::{self, Column};
use super::lease::{self, Leased, held};
use super::sql::is_one_of;
use super::webhooks::{SealedSecrets, one};
use crate::domain::{FeedPlace, OrganizationId, Timestamp, Webhook, WebhookId};
use crate::error::Result;

/// An endpoint that a worker has claimed, or may claim.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub webhook: Webhook,
    pub secrets: SealedSecrets,
    /// The place of the last event that it no longer needs.
    pub cursor: FeedPlace,
    pub is_claimed: bool,
    /// The endpoint is deleted when the organization's last event is delivered.
    pub organization_deleted: bool,
}

/// What a worker stores about an endpoint that it has claimed.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub cursor: FeedPlace,
    pub first_failure_at: Option<Timestamp>,
    pub lease_ends: Timestamp,
}

impl TryFrom<webhook::Model> for Endpoint {
    type Error = crate::error::Error;

    fn try_from(row: webhook::Model) -> Result<Self> {
        Ok(Self {
            cursor: row.cursor(),
            secrets: SealedSecrets::of(&row),
            is_claimed: row.claimed_by.is_some(),
            organization_deleted: row.organization_deleted,
            webhook: row.try_into()?,
        })
    }
}

/// Claims at most `limit` endpoints with something to send, for `claimant`. At `lease_ends`
/// they are due again, even if the claimant has ended.
pub async fn claim(
    tx: &Tx,
    claimant: Uuid,
    now: Timestamp,
    lease_ends: Timestamp,
    limit: u64,
) -> Result<Vec<Endpoint>> {
    let rows = lease::claim::<webhook::Entity>(tx, claimant, now, lease_ends, limit).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// The endpoint with this id, of an organization or of the deployment.
pub async fn find(
    db: &impl Connection,
    organization: Option<OrganizationId>,
    id: WebhookId,
) -> Result<Option<Endpoint>> {
    let select = webhook::Entity::find().filter(one(organization, id));
    models(db, select).await?.into_iter().next().map(TryInto::try_into).transpose()
}

/// Whether any endpoint is due.
pub async fn is_any_due(db: &impl Connection, now: Timestamp) -> Result<bool> {
    lease::is_any_due::<webhook::Entity>(db, now).await
}

/// Stores the progress of an endpoint; returns whether the claimant still held it.
pub async fn advance(tx: &Tx, id: WebhookId, claimant: Uuid, progress: &Progress) -> Result<bool> {
    let changes = webhook::Entity::update_many()
        .col_expr(Column::Epoch, Expr::value(progress.cursor.epoch))
        .col_expr(Column::Position, Expr::value(progress.cursor.position))
        .col_expr(Column::Ordinal, Expr::value(progress.cursor.ordinal))
        .col_expr(
            Column::FirstFailureAt,
            Expr::value(progress.first_failure_at.map(Timestamp::as_micros)),
        )
        .col_expr(Column::NextAttemptAt, Expr::value(progress.lease_ends.as_micros()))
        .filter(held::<webhook::Entity>(id, claimant));
    Ok(update(tx, changes).await? == 1)
}

/// Ends the claim of an endpoint, which is due again at `next`; `None`: when there is a new event
/// for it.
pub async fn release(
    tx: &Tx,
    id: WebhookId,
    claimant: Uuid,
    next: Option<Timestamp>,
) -> Result<()> {
    let changes = webhook::Entity::update_many()
        .col_expr(Column::NextAttemptAt, Expr::value(next.map_or(NEVER, Timestamp::as_micros)))
        .col_expr(Column::ClaimedBy, Expr::value(None::<Uuid>))
        .filter(held::<webhook::Entity>(id, claimant));
    update(tx, changes).await.map(drop)
}

/// Whether `claimant` still holds an endpoint.
pub async fn is_held(tx: &Tx, id: WebhookId, claimant: Uuid) -> Result<bool> {
    let select = webhook::Entity::find().filter(held::<webhook::Entity>(id, claimant));
    Ok(!models(tx, select).await?.is_empty())
}

/// At most `limit` enabled endpoints after this one.
pub async fn enabled(db: &Db, after: Option<WebhookId>, limit: u64) -> Result<Vec<Endpoint>> {
    let select = webhook::Entity::find()
        .filter(Column::DisabledAt.is_null())
        .filter(Column::Id.gt(after.map_or(Uuid::nil(), Uuid::from)))
        .order_by_asc(Column::Id)
        .limit(limit);
    models(db, select).await?.into_iter().map(TryInto::try_into).collect()
}

/// The enabled endpoints of these organizations.
pub async fn enabled_of(db: &Db, organizations: &[OrganizationId]) -> Result<Vec<Endpoint>> {
    enabled_where(db, Column::OrganizationId, organizations).await
}

/// The enabled endpoints of the deployment.
pub async fn enabled_of_deployment(db: &Db) -> Result<Vec<Endpoint>> {
    let select = webhook::Entity::find()
        .filter(Column::OrganizationId.is_null())
        .filter(Column::DisabledAt.is_null());
    models(db, select).await?.into_iter().map(TryInto::try_into).collect()
}

/// The endpoints with these ids, if they are enabled.
pub async fn enabled_among(db: &Db, ids: &[WebhookId]) -> Result<Vec<Endpoint>> {
    enabled_where(db, Column::Id, ids).await
}

async fn enabled_where<I: Copy + Into<Uuid>>(
    db: &Db,
    column: Column,
    ids: &[I],
) -> Result<Vec<Endpoint>> {
    let mut found = Vec::new();
    for some in ids.chunks(500) {
        let these = is_one_of(column, some.iter().copied().map(Into::<Uuid>::into));
        let select = webhook::Entity::find().filter(these).filter(Column::DisabledAt.is_null());
        for row in models(db, select).await? {
            found.push(row.try_into()?);
        }
    }
    Ok(found)
}

impl Leased for webhook::Entity {
    const ID: Column = Column::Id;
    const NEXT_ATTEMPT_AT: Column = Column::NextAttemptAt;
    const CLAIMED_BY: Column = Column::ClaimedBy;

    fn due(row: &webhook::Model) -> (Uuid, i64) {
        (row.id, row.next_attempt_at)
    }
}
