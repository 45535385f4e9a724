//! Table `invites`.

use std::time::Duration;

use sea_orm::entity::prelude::*;

use super::organization::split_domains;
use super::{attributes, stored};
use crate::domain::{ContentGrant, Delivery, Ending, Invite, MemberEnd, Timestamp};
use crate::error::{Error, Result};

/// The predicate of the live join link's index. It is a literal: a query with a bound value does
/// not use a partial index.
pub(in crate::storage) const LIVE_JOIN_LINK: &str = "kind = 'join_link' AND state = 'live'";

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
    pub email: Option<String>,
    pub note: String,
    /// Separated by spaces, as in `organizations`.
    pub allowed_domains: String,
    pub sso: bool,
    pub content_kind: Option<String>,
    pub content_id: Option<String>,
    pub content_level: Option<String>,
    pub member_id: Option<Uuid>,
    pub delivery: Option<String>,
    pub delivery_error: Option<String>,
    /// JSON.
    pub metadata: Option<String>,
    pub external_id: Option<String>,
    pub continue_url: Option<String>,
    pub locale: Option<String>,
    /// Whether an account that uses it only creates a join request.
    pub requires_approval: bool,
    /// In microseconds.
    pub member_lifetime: Option<i64>,
    pub member_expires_at: Option<i64>,
    /// The number of reminders that were sent.
    pub reminders: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::organization::Entity",
        from = "Column::OrganizationId",
        to = "super::organization::Column::Id"
    )]
    Organization,
    #[sea_orm(
        belongs_to = "super::member::Entity",
        from = "Column::InviterId",
        to = "super::member::Column::Id"
    )]
    Inviter,
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
            content: content(&row)?,
            email: row.email.as_deref().map(|email| stored("invites.email", email)).transpose()?,
            allowed_domains: split_domains("invites.allowed_domains", &row.allowed_domains)?,
            sso: row.sso,
            member: row.member_id.map(Into::into),
            inviter: row.inviter_id.into(),
            state: stored("invites.state", &row.state)?,
            version: row.version,
            expires_at: row.expires_at.map(Timestamp::from_micros),
            max_uses: row.max_uses,
            uses: row.uses,
            created_at: Timestamp::from_micros(row.created_at),
            ending: ending(&row)?,
            delivery: delivery(&row)?,
            member_end: member_end(&row),
            reminders: u32::try_from(row.reminders).unwrap_or(u32::MAX),
            attributes: attributes(row.metadata.as_deref(), row.external_id.as_deref())?,
            continue_url: row
                .continue_url
                .as_deref()
                .map(|url| stored("invites.continue_url", url))
                .transpose()?,
            locale: row.locale.as_deref().map(|tag| stored("invites.locale", tag)).transpose()?,
            note: row.note,
            requires_approval: row.requires_approval,
        })
    }
}

fn content(row: &Model) -> Result<Option<ContentGrant>> {
    content_grant(&row.content_kind, &row.content_id, &row.content_level)
}

/// The content grant in three columns of a table.
pub(in crate::storage) fn content_grant(
    kind: &Option<String>,
    id: &Option<String>,
    level: &Option<String>,
) -> Result<Option<ContentGrant>> {
    let (Some(kind), Some(id), Some(level)) = (kind, id, level) else {
        return Ok(None);
    };
    Ok(Some(ContentGrant {
        kind: stored("content_kind", kind)?,
        id: stored("content_id", id)?,
        level: stored("content_level", level)?,
    }))
}

fn member_end(row: &Model) -> Option<MemberEnd> {
    let lifetime = row.member_lifetime.map(|micros| Duration::from_micros(micros.unsigned_abs()));
    lifetime
        .map(MemberEnd::After)
        .or_else(|| Some(MemberEnd::At(Timestamp::from_micros(row.member_expires_at?))))
}

/// The columns `member_lifetime` and `member_expires_at`.
pub(in crate::storage) fn member_end_columns(end: Option<MemberEnd>) -> (Option<i64>, Option<i64>) {
    match end {
        // The API allows at most ten years, which `i64` can hold.
        Some(MemberEnd::After(lifetime)) => {
            (Some(i64::try_from(lifetime.as_micros()).unwrap_or(i64::MAX)), None)
        }
        Some(MemberEnd::At(end)) => (None, Some(end.as_micros())),
        None => (None, None),
    }
}

fn ending(row: &Model) -> Result<Option<Ending>> {
    let (Some(at), Some(reason)) = (row.ended_at, &row.end_reason) else {
        return Ok(None);
    };
    Ok(Some(Ending {
        at: Timestamp::from_micros(at),
        by: row.ended_by.map(Into::into),
        reason: stored("invites.end_reason", reason)?,
    }))
}

/// The text of column `delivery`.
pub(in crate::storage) fn delivery_text(delivery: &Delivery) -> &'static str {
    match delivery {
        Delivery::Pending => "pending",
        Delivery::Sent => "sent",
        Delivery::Failed(_) => "failed",
    }
}

fn delivery(row: &Model) -> Result<Option<Delivery>> {
    let failed = || Delivery::Failed(row.delivery_error.clone().unwrap_or_default());
    row.delivery
        .as_deref()
        .map(|text| match text {
            "pending" => Ok(Delivery::Pending),
            "sent" => Ok(Delivery::Sent),
            "failed" => Ok(failed()),
            _ => Err(Error::internal("column invites.delivery: no state of a mail")),
        })
        .transpose()
}
