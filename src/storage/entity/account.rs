//! Table `accounts`.

use sea_orm::entity::prelude::*;

use super::stored;
use crate::domain::{Account, Profile, Timestamp};
use crate::error::{Error, Result};

/// A row of `accounts`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub issuer: String,
    pub subject: String,
    pub kind: String,
    pub email: Option<String>,
    pub email_verified: bool,
    pub name: String,
    pub picture: String,
    pub login_provider: String,
    pub login_provider_kind: String,
    pub created_at: i64,
    pub updated_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    pub(in crate::storage) fn profile(&self) -> Result<Profile> {
        Ok(Profile {
            email: self
                .email
                .as_deref()
                .map(|email| stored("accounts.email", email))
                .transpose()?,
            email_verified: self.email_verified,
            name: self.name.clone(),
            picture: self.picture.clone(),
            login_provider: self.login_provider.clone(),
            login_provider_kind: stored("accounts.login_provider_kind", &self.login_provider_kind)?,
        })
    }
}

impl TryFrom<Model> for Account {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id.into(),
            kind: stored("accounts.kind", &row.kind)?,
            profile: row.profile()?,
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: row.updated_at.map(Timestamp::from_micros),
            issuer: row.issuer,
            subject: row.subject,
        })
    }
}
