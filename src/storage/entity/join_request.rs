//! Table `join_requests`.

use sea_orm::entity::prelude::*;

use super::stored;
use crate::domain::{Decision, JoinRequest, Timestamp};
use crate::error::{Error, Result};

/// A row of `join_requests`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "join_requests")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub organization_id: Uuid,
    pub account_id: Uuid,
    pub state: String,
    pub invite_id: Option<Uuid>,
    pub version: i64,
    pub created_at: i64,
    pub decided_at: Option<i64>,
    pub decided_by: Option<Uuid>,
    pub reason: String,
    pub ask_again_at: Option<i64>,
    pub member_id: Option<Uuid>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for JoinRequest {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        let decision = row.decided_at.map(|at| Decision {
            at: Timestamp::from_micros(at),
            by: row.decided_by.map(Into::into),
            reason: row.reason,
            ask_again_at: row.ask_again_at.map(Timestamp::from_micros),
        });
        Ok(Self {
            id: row.id.into(),
            organization: row.organization_id.into(),
            account: row.account_id.into(),
            state: stored("join_requests.state", &row.state)?,
            invite: row.invite_id.map(Into::into),
            version: row.version,
            created_at: Timestamp::from_micros(row.created_at),
            decision,
            member: row.member_id.map(Into::into),
        })
    }
}
