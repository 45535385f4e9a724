//! Queries on `audit_events`.

use std::sync::atomic::{AtomicI64, Ordering};

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, EntityTrait, ExprTrait, Order, QueryFilter, QuerySelect,
};
use uuid::Uuid;

use super::connection::{Connection, Db, Tx, insert, insert_many, models};
use super::entity::audit_event;
use super::sql::is_one_of;
use super::{event_data, events};
use crate::domain::{
    AccountId, Action, Actor, AuditEvent, AuditEventId, EventData, FeedPlace, OrganizationId,
    OrganizationVersion, Timestamp,
};
use crate::error::Result;

/// An event to append to the audit trail and to the feed.
#[derive(Debug)]
pub struct NewEvent<'a> {
    pub action: Action,
    /// The changed object and the change.
    pub data: EventData,
    /// `None` for events outside of organizations. The transaction must lock the organization's row
    /// before any other statement that may write or lock. Then the organization's events are in the
    /// feed in the order in which transactions locked the row.
    pub organization: Option<OrganizationVersion>,
    pub actor: &'a Actor,
    /// The changed fields or other details, in a few words.
    pub note: String,
}

/// Which events to list: those that match all given fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// One of these actions; empty means all.
    pub actions: Vec<String>,
    /// This account acted, or another account acted on its behalf.
    pub account: Option<AccountId>,
    /// The id of the target.
    pub target_id: Option<String>,
    /// At this moment or later.
    pub start: Option<Timestamp>,
    /// Before this moment.
    pub end: Option<Timestamp>,
}

/// The next number that orders events with the same position on PostgreSQL. These belong to one
/// transaction, and so to one process. So a number is enough that never decreases while the process
/// runs.
static ORDINAL: AtomicI64 = AtomicI64::new(1);

/// Appends an event in the transaction of its change.
pub async fn append(tx: &Tx, event: NewEvent<'_>, now: Timestamp) -> Result<()> {
    insert(tx, row(event, now)).await
}

/// Appends the events of many changes in one transaction.
pub async fn append_all(tx: &Tx, events: Vec<NewEvent<'_>>, now: Timestamp) -> Result<()> {
    insert_many(tx, events.into_iter().map(|event| row(event, now)).collect()).await
}

fn row(event: NewEvent<'_>, now: Timestamp) -> audit_event::ActiveModel {
    audit_event::ActiveModel {
        id: Set(AuditEventId::generate(now).into()),
        at: Set(now.as_micros()),
        action: Set(event.action.as_str().to_owned()),
        actor_id: Set(event.actor.account.map(Into::into)),
        on_behalf_of_id: Set(event.actor.on_behalf_of.map(Into::into)),
        target_kind: Set(event.data.target_kind().as_str().to_owned()),
        target_id: Set(event.data.target_id()),
        organization_id: Set(event.organization.map(|of| of.id.into())),
        request_id: Set(event.actor.request_id.0.to_string()),
        note: Set(event.note),
        // The database sets both.
        epoch: NotSet,
        position: NotSet,
        ordinal: Set(ORDINAL.fetch_add(1, Ordering::Relaxed)),
        organization_version: Set(event.organization.map_or(0, |of| of.version)),
        data: Set(event_data::encode(&event.data)),
        traceparent: Set(event.actor.trace.map(|trace| trace.to_string())),
    }
}

/// At most `limit` events of an organization, or those outside of organizations, before
/// the place `before`, newest first.
pub async fn page(
    db: &Db,
    organization: Option<OrganizationId>,
    filter: &EventFilter,
    before: Option<FeedPlace>,
    limit: u64,
) -> Result<Vec<AuditEvent>> {
    use audit_event::Column;

    let within = match organization {
        Some(organization) => Column::OrganizationId.eq(Uuid::from(organization)),
        None => Column::OrganizationId.is_null(),
    };
    let within = audit_event::Entity::find().filter(within);
    let backend = db.backend();
    let mut select = events::ordered(backend, within, Order::Desc).limit(limit);
    if let Some(before) = before {
        select = select.filter(events::order(backend).lt(events::place(backend, before)));
    }
    if !filter.actions.is_empty() {
        select =
            select.filter(is_one_of(Column::Action, filter.actions.iter().map(String::as_str)));
    }
    if let Some(account) = filter.account.map(Uuid::from) {
        select = select.filter(
            Condition::any().add(Column::ActorId.eq(account)).add(Column::OnBehalfOfId.eq(account)),
        );
    }
    if let Some(target) = &filter.target_id {
        select = select.filter(Column::TargetId.eq(target));
    }
    if let Some(start) = filter.start {
        select = select.filter(Column::At.gte(start.as_micros()));
    }
    if let Some(end) = filter.end {
        select = select.filter(Column::At.lt(end.as_micros()));
    }
    let rows = models(&db.for_lists(), select).await?;
    Ok(rows.into_iter().map(Into::into).collect())
}
