//! Table `webhook_deliveries`: events that an endpoint has not accepted yet.

use sea_orm::entity::prelude::*;

use crate::domain::{Timestamp, WebhookDelivery};

/// A row of `webhook_deliveries`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_deliveries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub webhook_id: Uuid,
    pub event_id: Uuid,
    pub event_type: String,
    pub attempts: i64,
    /// When it is due; [`NEVER`](super::NEVER) while its endpoint is disabled.
    pub next_attempt_at: i64,
    pub last_attempt_at: Option<i64>,
    pub status: Option<i64>,
    pub reason: String,
    pub answer: String,
    pub created_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for WebhookDelivery {
    fn from(row: Model) -> Self {
        let next = (row.next_attempt_at != super::NEVER).then_some(row.next_attempt_at);
        Self {
            id: row.id.into(),
            event: row.event_id.into(),
            event_type: row.event_type,
            attempts: row.attempts,
            next_attempt_at: next.map(Timestamp::from_micros),
            last_attempt_at: row.last_attempt_at.map(Timestamp::from_micros),
            status: row.status,
            reason: row.reason,
            answer: row.answer,
        }
    }
}
