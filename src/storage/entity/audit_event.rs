//! Table `audit_events`. It has no foreign keys: events stay after their targets are
//! deleted.

use sea_orm::entity::prelude::*;

use crate::domain::{AuditEvent, FeedPlace, Timestamp, TraceParent};

/// A row of `audit_events`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub at: i64,
    pub action: String,
    pub actor_id: Option<Uuid>,
    pub on_behalf_of_id: Option<Uuid>,
    pub target_kind: String,
    pub target_id: String,
    pub organization_id: Option<Uuid>,
    pub request_id: String,
    pub note: String,
    pub epoch: i64,
    pub position: i64,
    pub ordinal: i64,
    /// 0 without an organization.
    pub organization_version: i64,
    /// An encoded `guestlist.v1.Event` that has only `data`.
    pub data: Vec<u8>,
    /// The trace of the change, in the form of W3C's header `traceparent`; NULL if it has none.
    pub traceparent: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for AuditEvent {
    fn from(row: Model) -> Self {
        Self {
            id: row.id.into(),
            at: Timestamp::from_micros(row.at),
            action: row.action,
            actor: row.actor_id.map(Into::into),
            on_behalf_of: row.on_behalf_of_id.map(Into::into),
            target_kind: row.target_kind,
            target_id: row.target_id,
            organization: row.organization_id.map(Into::into),
            request_id: row.request_id,
            note: row.note,
            place: FeedPlace { epoch: row.epoch, position: row.position, ordinal: row.ordinal },
            organization_version: row.organization_version,
            data: row.data,
            trace: row.traceparent.as_deref().and_then(TraceParent::parse),
        }
    }
}
