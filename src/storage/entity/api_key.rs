//! Table `api_keys`.

use sea_orm::entity::prelude::*;

use super::stored;
use crate::domain::{ApiKey, SecretHash, Timestamp};
use crate::error::{Error, Result};

/// A row of `api_keys`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub secret_hash: Vec<u8>,
    pub account_id: Uuid,
    pub scope: Option<String>,
    pub organization_id: Option<Uuid>,
    pub created_at: i64,
    pub expires_at: Option<i64>,
    pub revoked_at: Option<i64>,
    pub last_used_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::account::Entity",
        from = "Column::AccountId",
        to = "super::account::Column::Id"
    )]
    Account,
}

impl Related<super::account::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Account.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for ApiKey {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            id: stored("api_keys.id", &row.id)?,
            hash: SecretHash::from_bytes(&row.secret_hash).map_err(Error::internal)?,
            account: row.account_id.into(),
            scope: row.scope.as_deref().map(|scope| stored("api_keys.scope", scope)).transpose()?,
            organization: row.organization_id.map(Into::into),
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: row.expires_at.map(Timestamp::from_micros),
            revoked_at: row.revoked_at.map(Timestamp::from_micros),
            last_used_at: row.last_used_at.map(Timestamp::from_micros),
        })
    }
}
