//! The current state of organizations and members, for readers that begin to read the event feed.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoSimpleExpr, JoinType, QueryFilter, QueryOrder, QuerySelect,
    RelationTrait,
};
use uuid::Uuid;

use super::connection::{Db, all};
use super::entity::{account, attributes, member, organization, stored};
use super::members::lasts_beyond;
use super::statement::Row;
use crate::domain::{
    AccountId, Attributes, MemberId, MemberStatus, OrganizationId, Role, Timestamp,
};
use crate::error::Result;

/// An active or suspended member and its organization's version.
#[derive(Debug, Clone)]
pub struct MemberState {
    pub organization: OrganizationId,
    /// The organization's version, read at the same moment as the member.
    pub version: i64,
    pub id: MemberId,
    pub account: AccountId,
    pub issuer: String,
    pub subject: String,
    pub role: Role,
    pub status: MemberStatus,
    pub expires_at: Option<Timestamp>,
    pub attributes: Attributes,
    /// The attributes of the organization.
    pub of_organization: Attributes,
    joined_at: Timestamp,
}

/// A place in the order of the pages: organization, time of joining in microseconds, member.
pub type StatePlace = (Uuid, i64, Uuid);

impl MemberState {
    pub fn place(&self) -> StatePlace {
        (self.organization.into(), self.joined_at.as_micros(), self.id.into())
    }
}

/// At most `limit` members after `after`: of one organization, or of all. Every organization has an
/// admin, so the pages contain every organization.
pub async fn page(
    db: &Db,
    only: Option<OrganizationId>,
    after: Option<StatePlace>,
    limit: u64,
    now: Timestamp,
) -> Result<Vec<MemberState>> {
    use member::Column;

    const ORDER: [Column; 3] = [Column::OrganizationId, Column::JoinedAt, Column::Id];
    let statuses = [MemberStatus::Active, MemberStatus::Suspended].map(MemberStatus::as_str);
    // The first page has this condition too, so that it uses the index in the same way as later
    // pages.
    let (organization, joined_at, id) = after.unwrap_or((Uuid::nil(), 0, Uuid::nil()));
    let here = Expr::tuple(ORDER.map(Column::into_simple_expr));
    let there = [Expr::value(organization), Expr::value(joined_at), Expr::value(id)];
    let mut select = member::Entity::find()
        .select_only()
        .columns(ORDER)
        .columns([Column::AccountId, Column::Role, Column::Status, Column::ExpiresAt])
        .columns([Column::Metadata, Column::ExternalId])
        .column(organization::Column::Version)
        .columns([organization::Column::Metadata, organization::Column::ExternalId])
        .columns([account::Column::Issuer, account::Column::Subject])
        .join(JoinType::InnerJoin, member::Relation::Organization.def())
        .join(JoinType::InnerJoin, member::Relation::Account.def())
        .filter(Column::Status.is_in(statuses))
        .filter(lasts_beyond(now))
        .filter(here.gt(Expr::tuple(there)))
        .limit(limit);
    for column in ORDER {
        select = select.order_by_asc(column);
    }
    if let Some(only) = only {
        select = select.filter(Column::OrganizationId.eq(Uuid::from(only)));
    }
    let rows = all(&db.for_lists(), &select).await?;
    let read = rows.into_iter().map(|mut row| {
        Ok(MemberState {
            organization: row.value::<Uuid>()?.into(),
            joined_at: Timestamp::from_micros(row.value()?),
            id: row.value::<Uuid>()?.into(),
            account: row.value::<Uuid>()?.into(),
            role: stored("members.role", &row.value::<String>()?)?,
            status: stored("members.status", &row.value::<String>()?)?,
            expires_at: row.value::<Option<i64>>()?.map(Timestamp::from_micros),
            attributes: read_attributes(&mut row)?,
            version: row.value()?,
            of_organization: read_attributes(&mut row)?,
            issuer: row.value()?,
            subject: row.value()?,
        })
    });
    read.collect()
}

fn read_attributes(row: &mut Row) -> Result<Attributes> {
    let (metadata, id) = (row.value::<Option<String>>()?, row.value::<Option<String>>()?);
    attributes(metadata.as_deref(), id.as_deref())
}
