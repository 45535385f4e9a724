//! Queries on `audit_events`.

use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::entity::audit_event;
use super::error::OrError;
use super::query::{insert_many, is_one_of};
use super::text::InsertText;
use super::{Db, Tx};
use crate::domain::{
    AccountId, Action, Actor, AuditEvent, AuditEventId, OrganizationId, TargetKind, Timestamp,
};
use crate::error::Result;

/// What to write into the trail.
#[derive(Debug)]
pub struct NewEvent<'a> {
    /// What happened.
    pub action: Action,
    /// To what kind of thing.
    pub target_kind: TargetKind,
    /// Its id; never a token or a secret.
    pub target_id: String,
    /// Where; none outside organizations.
    pub organization: Option<OrganizationId>,
    /// Who did it.
    pub actor: &'a Actor,
    /// What changed, in a few words.
    pub note: String,
}

/// Which events to list. Everything given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Any of these actions; none given means all.
    pub actions: Vec<String>,
    /// Done by this account, or for it.
    pub account: Option<AccountId>,
    /// Done to this.
    pub target_id: Option<String>,
    /// No earlier than this.
    pub start: Option<Timestamp>,
    /// Earlier than this.
    pub end: Option<Timestamp>,
}

/// Writes an event into the transaction of the change it tells of.
pub async fn append(tx: &Tx, event: NewEvent<'_>, now: Timestamp) -> Result<()> {
    static TEXT: InsertText = InsertText::new();
    TEXT.insert(tx, row(event, now)).await
}

/// The same of many changes in one transaction.
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

/// At most `limit` events of an organization, or of those outside organizations, newest
/// first, older than `before`.
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
    let rows = select.all(&db.long()).await.or_error()?;
    Ok(rows.into_iter().map(Into::into).collect())
}
