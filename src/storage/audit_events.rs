//! Queries on `audit_events`.

use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::entity::audit_event;
use super::sql::is_one_of;
use super::statement::{Db, Tx, insert, insert_many, models};
use crate::domain::{
    AccountId, Action, Actor, AuditEvent, AuditEventId, OrganizationId, TargetKind, Timestamp,
};
use crate::error::Result;

/// An event to append to the audit trail.
#[derive(Debug)]
pub struct NewEvent<'a> {
    pub action: Action,
    pub target_kind: TargetKind,
    /// The id of the target; never a token or a secret.
    pub target_id: String,
    /// None for events outside of organizations.
    pub organization: Option<OrganizationId>,
    pub actor: &'a Actor,
    /// The changed fields or other details, in a few words.
    pub note: String,
}

/// Which events to list: those that match all given fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// One of these actions; empty means all.
    pub actions: Vec<String>,
    /// The account acted, or another account acted for it.
    pub account: Option<AccountId>,
    /// The id of the target.
    pub target_id: Option<String>,
    /// At this moment or later.
    pub start: Option<Timestamp>,
    /// Before this moment.
    pub end: Option<Timestamp>,
}

/// Appends an event in the transaction of its change.
pub async fn append(tx: &Tx, event: NewEvent<'_>, now: Timestamp) -> Result<()> {
    insert(tx, row(event, now)).await
}

/// Appends the events of many changes in one transaction.
pub async fn append_all(tx: &Tx, events: Vec<NewEvent<'_>>, now: Timestamp) -> Result<()> {
    let rows = events.into_iter().map(|event| row(event, now));
    insert_many(tx, rows.collect()).await
}

fn row(event: NewEvent<'_>, now: Timestamp) -> audit_event::ActiveModel {
    audit_event::ActiveModel {
        id: Set(AuditEventId::generate(now).into()),
        at: Set(now.as_micros()),
        action: Set(event.action.as_str().to_owned()),
        actor_id: Set(event.actor.account.map(Into::into)),
        on_behalf_of_id: Set(event.actor.on_behalf_of.map(Into::into)),
        target_kind: Set(event.target_kind.as_str().to_owned()),
        target_id: Set(event.target_id),
        organization_id: Set(event.organization.map(Into::into)),
        request_id: Set(event.actor.request_id.0.to_string()),
        note: Set(event.note),
    }
}

/// At most `limit` events of an organization, or those outside of organizations, older than
/// `before`, newest first.
pub async fn page(
    db: &Db,
    organization: Option<OrganizationId>,
    filter: &EventFilter,
    before: Option<AuditEventId>,
    limit: u64,
) -> Result<Vec<AuditEvent>> {
    use audit_event::Column;

    let within = match organization {
        Some(organization) => Column::OrganizationId.eq(Uuid::from(organization)),
        None => Column::OrganizationId.is_null(),
    };
    let mut select =
        audit_event::Entity::find().filter(within).order_by_desc(Column::Id).limit(limit);
    if let Some(before) = before {
        select = select.filter(Column::Id.lt(Uuid::from(before)));
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
