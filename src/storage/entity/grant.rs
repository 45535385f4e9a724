//! Table `grants`.

use sea_orm::entity::prelude::*;

use super::stored;
use crate::domain::{ContentGrant, Grant, Timestamp};
use crate::error::{Error, Result};

/// A row of `grants`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "grants")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub organization_id: Uuid,
    pub member_id: Uuid,
    pub content_kind: String,
    pub content_id: String,
    pub content_level: String,
    pub invite_id: Uuid,
    pub created_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Grant {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id.into(),
            member: row.member_id.into(),
            content: ContentGrant {
                kind: stored("grants.content_kind", &row.content_kind)?,
                id: stored("grants.content_id", &row.content_id)?,
                level: stored("grants.content_level", &row.content_level)?,
            },
            invite: row.invite_id.into(),
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}
