//! Table `organizations`.

use sea_orm::entity::prelude::*;

use super::{attributes, stored};
use crate::domain::{EmailDomain, Organization, Timestamp};
use crate::error::{Error, Result};

/// A row of `organizations`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "organizations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    /// Separated by spaces, which no domain contains.
    pub invite_domains: String,
    pub tier: String,
    pub creator_id: Uuid,
    pub created_at: i64,
    pub updated_at: i64,
    pub version: i64,
    pub member_count: i64,
    pub seat_limit: i64,
    /// JSON.
    pub metadata: Option<String>,
    pub external_id: Option<String>,
    pub next_member_end: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The text of column `invite_domains`.
pub(in crate::storage) fn join_domains(domains: &[EmailDomain]) -> String {
    let texts: Vec<&str> = domains.iter().map(EmailDomain::as_str).collect();
    texts.join(" ")
}

/// The domains in a column of this form.
pub(in crate::storage) fn split_domains(column: &str, text: &str) -> Result<Vec<EmailDomain>> {
    text.split_whitespace().map(|domain| stored(column, domain)).collect()
}

impl TryFrom<Model> for Organization {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id.into(),
            name: stored("organizations.name", &row.name)?,
            invite_domains: split_domains("organizations.invite_domains", &row.invite_domains)?,
            tier: stored("organizations.tier", &row.tier)?,
            creator: row.creator_id.into(),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
            version: row.version,
            member_count: row.member_count,
            seat_limit: row.seat_limit,
            next_member_end: row.next_member_end.map(Timestamp::from_micros),
            attributes: attributes(row.metadata.as_deref(), row.external_id.as_deref())?,
        })
    }
}
