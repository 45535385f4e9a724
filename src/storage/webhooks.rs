//! Queries on `webhooks`, the endpoints that receive events, for the operations that manage them.
//! The worker's queries are in [`webhook_turns`](super::webhook_turns).

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
};
use uuid::Uuid;

use super::connection::{self, Connection, Db, Tx, count, models, update};
use super::entity::webhook::{self, Column};
use super::entity::{NEVER, webhook_delivery};
use crate::domain::{Disabling, FeedPlace, OrganizationId, Timestamp, Webhook, WebhookId};
use crate::error::Result;

/// The secrets of an endpoint, encrypted.
#[derive(Debug, Clone)]
pub struct SealedSecrets {
    pub current: Vec<u8>,
    /// The previous secret, and until when it is also used.
    pub previous: Option<(Vec<u8>, Timestamp)>,
}

impl SealedSecrets {
    pub(super) fn of(row: &webhook::Model) -> Self {
        let previous = row.previous_secret_sealed.clone().zip(row.previous_secret_ends_at);
        Self {
            current: row.secret_sealed.clone(),
            previous: previous.map(|(sealed, ends)| (sealed, Timestamp::from_micros(ends))),
        }
    }
}

/// The endpoints of an organization, or those of the deployment.
fn of(organization: Option<OrganizationId>) -> Expr {
    match organization {
        Some(organization) => Column::OrganizationId.eq(Uuid::from(organization)),
        None => Column::OrganizationId.is_null(),
    }
}

/// The condition for one endpoint of an owner.
pub(super) fn one(organization: Option<OrganizationId>, id: WebhookId) -> Condition {
    Condition::all().add(Column::Id.eq(Uuid::from(id))).add(of(organization))
}

/// Stores a new endpoint, which gets the events after `cursor`; `None`: all events.
pub async fn insert(
    tx: &Tx,
    new: &Webhook,
    secret: Vec<u8>,
    cursor: Option<FeedPlace>,
) -> Result<()> {
    // This place is before all events.
    let cursor = cursor.unwrap_or(FeedPlace { epoch: -1, position: 0, ordinal: 0 });
    let row = webhook::ActiveModel {
        id: Set(new.id.into()),
        organization_id: Set(new.organization.map(Into::into)),
        url: Set(new.url.clone()),
        description: Set(new.description.clone()),
        event_types: Set(new.event_types.join(" ")),
        secret_sealed: Set(secret),
        previous_secret_sealed: Set(None),
        previous_secret_ends_at: Set(None),
        disabled_at: Set(None),
        disabled_reason: Set(None),
        organization_deleted: Set(false),
        epoch: Set(cursor.epoch),
        position: Set(cursor.position),
        ordinal: Set(cursor.ordinal),
        next_attempt_at: Set(new.created_at.as_micros()),
        claimed_by: Set(None),
        first_failure_at: Set(None),
        created_at: Set(new.created_at.as_micros()),
        updated_at: Set(new.updated_at.as_micros()),
    };
    connection::insert(tx, row).await
}

/// The endpoint with this id.
pub async fn find(
    db: &impl Connection,
    organization: Option<OrganizationId>,
    id: WebhookId,
) -> Result<Option<Webhook>> {
    let rows = models(db, webhook::Entity::find().filter(one(organization, id))).await?;
    rows.into_iter().next().map(TryInto::try_into).transpose()
}

/// The endpoint with this id and its secrets.
pub async fn find_with_secrets(
    db: &impl Connection,
    organization: Option<OrganizationId>,
    id: WebhookId,
) -> Result<Option<(Webhook, SealedSecrets)>> {
    with_secrets(db, webhook::Entity::find().filter(one(organization, id))).await
}

/// As [`find_with_secrets`], with the row locked until the transaction ends.
pub async fn lock(
    tx: &Tx,
    organization: Option<OrganizationId>,
    id: WebhookId,
) -> Result<Option<(Webhook, SealedSecrets)>> {
    with_secrets(tx, webhook::Entity::find().filter(one(organization, id)).lock_exclusive()).await
}

async fn with_secrets(
    db: &impl Connection,
    select: Select<webhook::Entity>,
) -> Result<Option<(Webhook, SealedSecrets)>> {
    let Some(row) = models(db, select).await?.into_iter().next() else { return Ok(None) };
    let secrets = SealedSecrets::of(&row);
    Ok(Some((row.try_into()?, secrets)))
}

/// At most `limit` endpoints after this one, oldest first.
pub async fn page(
    db: &Db,
    organization: Option<OrganizationId>,
    after: Option<WebhookId>,
    limit: u64,
) -> Result<Vec<Webhook>> {
    let mut select =
        webhook::Entity::find().filter(of(organization)).order_by_asc(Column::Id).limit(limit);
    if let Some(after) = after {
        select = select.filter(Column::Id.gt(Uuid::from(after)));
    }
    models(db, select).await?.into_iter().map(TryInto::try_into).collect()
}

/// How many endpoints a locked organization has.
pub async fn count_of(tx: &Tx, organization: OrganizationId) -> Result<u64> {
    count(tx, webhook::Entity::find().filter(of(Some(organization)))).await
}

/// Updates a locked endpoint: URL, description and event types. With `again`, a worker that is
/// sending to the endpoint loses its claim, and the events that it sends are sent again.
pub async fn set_terms(tx: &Tx, changed: &Webhook, again: bool) -> Result<()> {
    let mut changes = webhook::Entity::update_many()
        .col_expr(Column::Url, Expr::value(changed.url.as_str()))
        .col_expr(Column::Description, Expr::value(changed.description.as_str()))
        .col_expr(Column::EventTypes, Expr::value(changed.event_types.join(" ")))
        .col_expr(Column::UpdatedAt, Expr::value(changed.updated_at.as_micros()))
        .filter(Column::Id.eq(Uuid::from(changed.id)));
    if again {
        changes = changes
            .col_expr(Column::NextAttemptAt, Expr::value(changed.updated_at.as_micros()))
            .col_expr(Column::ClaimedBy, Expr::value(None::<Uuid>));
    }
    update(tx, changes).await.map(drop)
}

/// Replaces the secret of a locked endpoint; `previous` is also used until its end.
pub async fn set_secret(
    tx: &Tx,
    id: WebhookId,
    sealed: Vec<u8>,
    previous: (Vec<u8>, Timestamp),
    now: Timestamp,
) -> Result<()> {
    let changes = webhook::Entity::update_many()
        .col_expr(Column::SecretSealed, Expr::value(sealed))
        .col_expr(Column::PreviousSecretSealed, Expr::value(previous.0))
        .col_expr(Column::PreviousSecretEndsAt, Expr::value(previous.1.as_micros()))
        .col_expr(Column::UpdatedAt, Expr::value(now.as_micros()))
        .filter(Column::Id.eq(Uuid::from(id)));
    update(tx, changes).await.map(drop)
}

/// Disables a locked endpoint. Its deliveries wait until it is enabled; a worker that is sending to
/// it loses its claim.
pub async fn disable(tx: &Tx, id: WebhookId, disabling: Disabling) -> Result<()> {
    let changes = webhook::Entity::update_many()
        .col_expr(Column::DisabledAt, Expr::value(disabling.at.as_micros()))
        .col_expr(Column::DisabledReason, Expr::value(disabling.reason.as_str()))
        .col_expr(Column::UpdatedAt, Expr::value(disabling.at.as_micros()))
        .col_expr(Column::NextAttemptAt, Expr::value(NEVER))
        .col_expr(Column::ClaimedBy, Expr::value(None::<Uuid>))
        .filter(Column::Id.eq(Uuid::from(id)));
    update(tx, changes).await?;
    let parked = webhook_delivery::Entity::update_many()
        .col_expr(webhook_delivery::Column::NextAttemptAt, Expr::value(NEVER))
        .filter(webhook_delivery::Column::WebhookId.eq(Uuid::from(id)));
    update(tx, parked).await.map(drop)
}

/// Enables a locked endpoint: it continues with the next event after its cursor. Deliveries that it
/// has not accepted are due now, and have all their attempts again.
pub async fn enable(tx: &Tx, id: WebhookId, now: Timestamp) -> Result<()> {
    let changes = webhook::Entity::update_many()
        .col_expr(Column::DisabledAt, Expr::value(None::<i64>))
        .col_expr(Column::DisabledReason, Expr::value(None::<String>))
        .col_expr(Column::FirstFailureAt, Expr::value(None::<i64>))
        .col_expr(Column::UpdatedAt, Expr::value(now.as_micros()))
        .col_expr(Column::NextAttemptAt, Expr::value(now.as_micros()))
        .filter(Column::Id.eq(Uuid::from(id)));
    update(tx, changes).await?;
    let due = webhook_delivery::Entity::update_many()
        .col_expr(webhook_delivery::Column::NextAttemptAt, Expr::value(now.as_micros()))
        .col_expr(webhook_delivery::Column::Attempts, Expr::value(0_i64))
        .filter(webhook_delivery::Column::WebhookId.eq(Uuid::from(id)));
    update(tx, due).await.map(drop)
}

/// Makes these endpoints due now if they are enabled and no worker has claimed them; returns how
/// many.
pub async fn wake(tx: &Tx, ids: &[WebhookId], now: Timestamp) -> Result<u64> {
    let ids = ids.iter().copied().map(Uuid::from);
    let woken = webhook::Entity::update_many()
        .col_expr(Column::NextAttemptAt, Expr::value(now.as_micros()))
        .filter(super::sql::is_one_of(Column::Id, ids))
        .filter(Column::ClaimedBy.is_null())
        .filter(Column::DisabledAt.is_null())
        .filter(Column::NextAttemptAt.gt(now.as_micros()));
    update(tx, woken).await
}

/// Deletes an endpoint with the deliveries that it has not accepted.
pub async fn delete(tx: &Tx, id: WebhookId) -> Result<()> {
    let it = Column::Id.eq(Uuid::from(id));
    connection::delete(tx, webhook::Entity::delete_many().filter(it)).await.map(drop)
}

/// Deletes the disabled endpoints of a locked organization that is being deleted. The others are
/// deleted when the organization's last event is delivered.
pub async fn end_all(tx: &Tx, organization: OrganizationId) -> Result<()> {
    let its = of(Some(organization));
    let disabled = its.clone().and(Column::DisabledAt.is_not_null());
    connection::delete(tx, webhook::Entity::delete_many().filter(disabled)).await?;
    let ending = webhook::Entity::update_many()
        .col_expr(Column::OrganizationDeleted, Expr::value(true))
        .filter(its);
    update(tx, ending).await.map(drop)
}
