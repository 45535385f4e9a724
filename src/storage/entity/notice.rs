//! Table `notices`: mails that report a change.

use sea_orm::entity::prelude::*;

/// A row of `notices`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notices")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub organization_id: Uuid,
    /// The recipient.
    pub account_id: Uuid,
    pub kind: String,
    /// The id of the join request or of the domain; for a mail about waiting join requests, of the
    /// organization.
    pub subject_id: Uuid,
    /// Earlier mails have reported the join requests up to this version of the organization.
    pub told_version: i64,
    /// When the first attempt to send it is due.
    pub due_at: i64,
    pub attempts: i64,
    /// When it is due; while it is claimed, when the claim ends.
    pub next_attempt_at: i64,
    /// The worker that sends it now.
    pub claimed_by: Option<Uuid>,
    /// As in `audit_events`.
    pub traceparent: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
