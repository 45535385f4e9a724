//! Table `members`.

use sea_orm::entity::prelude::*;

use super::{attributes, stored};
use crate::domain::{Departure, Member, Timestamp};
use crate::error::{Error, Result};

/// A row of `members`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "members")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub organization_id: Uuid,
    pub account_id: Uuid,
    pub role: String,
    pub status: String,
    /// The account's name in lower case, so that an index has the order of names.
    pub sort_name: String,
    /// The account's address, so that a search by name or address reads one index.
    pub email: Option<String>,
    pub joined_at: i64,
    pub joined_by: String,
    pub invite_id: Option<Uuid>,
    pub left_at: Option<i64>,
    pub removed: bool,
    pub left_version: Option<i64>,
    /// JSON.
    pub metadata: Option<String>,
    pub external_id: Option<String>,
    pub expires_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::account::Entity",
        from = "Column::AccountId",
        to = "super::account::Column::Id"
    )]
    Account,
    #[sea_orm(
        belongs_to = "super::organization::Entity",
        from = "Column::OrganizationId",
        to = "super::organization::Column::Id"
    )]
    Organization,
    /// The organization's live join link.
    #[sea_orm(
        belongs_to = "super::invite::Entity",
        from = "Column::OrganizationId",
        to = "super::invite::Column::OrganizationId",
        on_condition = "Expr::cust(super::invite::LIVE_JOIN_LINK)"
    )]
    JoinLink,
}

impl Related<super::account::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Account.def()
    }
}

impl Related<super::organization::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Organization.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Member {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        let departure = row.left_at.zip(row.left_version).map(|(at, version)| Departure {
            at: Timestamp::from_micros(at),
            removed: row.removed,
            version,
        });
        Ok(Self {
            id: row.id.into(),
            organization: row.organization_id.into(),
            account: row.account_id.into(),
            role: stored("members.role", &row.role)?,
            status: stored("members.status", &row.status)?,
            joined_at: Timestamp::from_micros(row.joined_at),
            joined_by: stored("members.joined_by", &row.joined_by)?,
            invite: row.invite_id.map(Into::into),
            attributes: attributes(row.metadata.as_deref(), row.external_id.as_deref())?,
            expires_at: row.expires_at.map(Timestamp::from_micros),
            departure,
        })
    }
}
