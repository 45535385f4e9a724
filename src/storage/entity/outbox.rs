//! Table `outbox`: mails that wait to be sent.

use sea_orm::entity::prelude::*;

/// A row of `outbox`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub organization_id: Uuid,
    pub invite_id: Uuid,
    pub attempts: i64,
    /// When it is due; while it is claimed, when the claim ends.
    pub next_attempt_at: i64,
    /// The worker that sends it now.
    pub claimed_by: Option<Uuid>,
    pub created_at: i64,
    /// As in `audit_events`.
    pub traceparent: Option<String>,
    /// 0: the invitation itself; 1 or more: a reminder.
    pub reminder: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
