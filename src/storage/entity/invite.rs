//! Table `invites`.

use sea_orm::entity::prelude::*;

use super::stored;
use crate::domain::{Invite, Timestamp};
use crate::error::{Error, Result};

/// A row of `invites`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invites")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub organization_id: Uuid,
    pub kind: String,
    pub role: String,
    pub token_hash: Vec<u8>,
    pub token_sealed: Vec<u8>,
    pub inviter_id: Uuid,
    pub state: String,
    pub version: i64,
    pub expires_at: Option<i64>,
    pub max_uses: Option<i64>,
    pub uses: i64,
    pub created_at: i64,
    pub ended_at: Option<i64>,
    pub ended_by: Option<Uuid>,
    pub end_reason: Option<String>,
}

/// Followed from a token to its organization.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// Where it leads.
    #[sea_orm(
        belongs_to = "super::organization::Entity",
        from = "Column::OrganizationId",
        to = "super::organization::Column::Id"
    )]
    Organization,
}

impl Related<super::organization::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Organization.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Invite {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id.into(),
            organization: row.organization_id.into(),
            kind: stored("invites.kind", &row.kind)?,
            role: stored("invites.role", &row.role)?,
            inviter: row.inviter_id.into(),
            state: stored("invites.state", &row.state)?,
            version: row.version,
            expires_at: row.expires_at.map(Timestamp::from_micros),
            max_uses: row.max_uses,
            uses: row.uses,
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}
