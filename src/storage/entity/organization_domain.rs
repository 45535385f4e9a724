//! Table `domains`.

use sea_orm::entity::prelude::*;

use super::stored;
use crate::domain::{OrganizationDomain, Timestamp};
use crate::error::{Error, Result};

/// A row of `domains`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "domains")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub organization_id: Uuid,
    pub domain: String,
    pub challenge: String,
    pub mode: String,
    pub state: String,
    pub created_at: i64,
    pub verified_at: Option<i64>,
    pub checked_at: Option<i64>,
    pub missing_since: Option<i64>,
    /// When the next check of the proof is due.
    pub next_check_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for OrganizationDomain {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id.into(),
            organization: row.organization_id.into(),
            name: stored("domains.domain", &row.domain)?,
            challenge: stored("domains.challenge", &row.challenge)?,
            mode: stored("domains.mode", &row.mode)?,
            state: stored("domains.state", &row.state)?,
            created_at: Timestamp::from_micros(row.created_at),
            verified_at: row.verified_at.map(Timestamp::from_micros),
            checked_at: row.checked_at.map(Timestamp::from_micros),
            missing_since: row.missing_since.map(Timestamp::from_micros),
        })
    }
}
