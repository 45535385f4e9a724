//! Table `outbox`: mail that waits, by reference.

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
    /// When it is due; while it is claimed, when the claim runs out.
    pub next_attempt_at: i64,
    /// Who sends it just now.
    pub claimed_by: Option<Uuid>,
    pub created_at: i64,
}

/// None is followed from here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
