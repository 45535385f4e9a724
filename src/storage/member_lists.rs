//! Lists over `members`, one page at a time.

use sea_orm::sea_query::{Expr, ExprTrait, LikeExpr, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, IntoSimpleExpr, JoinType, Order, QueryFilter, QueryOrder,
    QuerySelect, RelationTrait, Select,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::attributes::has_pairs;
use super::connection::{self, Connection, Db, all};
use super::entity::{account, member, organization, stored};
use super::members::{due_members, lasts_beyond, with_organization, with_profile};
use super::sql::{belongs_to, contains_pattern, is_one_of};
use crate::domain::{
    AccountId, ExternalId, LoginProviderKind, Member, MemberId, MemberProfile, MemberStatus,
    Metadata, Organization, OrganizationId, Role, Timestamp,
};
use crate::error::Result;

/// Which members to list: those that match all given fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MemberFilter {
    /// A part of the name or the address, in lower case.
    pub search: String,
    /// One of these; empty means active and suspended.
    pub statuses: Vec<MemberStatus>,
    /// True: only admins. False: all but admins.
    pub admins: Option<bool>,
    /// One of these; empty means all.
    pub ids: Vec<MemberId>,
    /// Of one of these; empty means all.
    pub accounts: Vec<AccountId>,
    /// The normalised address.
    pub email: Option<String>,
    pub login_provider: Option<LoginProviderKind>,
    /// With all of these pairs.
    pub metadata: Metadata,
    pub external_id: Option<ExternalId>,
}

/// Which organizations of an account to list: those that match all given fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrganizationFilter {
    pub only: Option<OrganizationId>,
    /// With all of these pairs.
    pub metadata: Metadata,
    pub external_id: Option<ExternalId>,
}

/// The order of members; members with equal values are in order of their id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberSort {
    /// By name in lower case.
    Name,
    Joined,
}

/// The position of a member, in both orders of [`MemberSort`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberCursor {
    /// The name in lower case.
    pub name: String,
    /// When the membership began, in microseconds.
    pub joined_at: i64,
    pub id: Uuid,
}

/// One page of a list of members.
#[derive(Debug, Clone)]
pub struct MemberPage<'a> {
    pub filter: &'a MemberFilter,
    /// A member to leave out: the operation adds it at another place.
    pub except: Option<MemberId>,
    pub sort: MemberSort,
    pub descending: bool,
    /// The page begins after this position.
    pub after: Option<&'a MemberCursor>,
    pub limit: u64,
    /// Members whose membership has expired at this moment count as having left. `None`: there are
    /// no such members, and the statement stays short.
    pub due: Option<Timestamp>,
}

impl MemberFilter {
    /// Whether the filter matches all members that have not left.
    pub fn is_default(&self) -> bool {
        *self == MemberFilter::default()
    }

    /// The condition that a member belongs to the organization.
    fn in_organization(&self, organization: OrganizationId) -> SimpleExpr {
        let column = member::Column::OrganizationId;
        match self.ids.is_empty() && self.accounts.is_empty() && self.email.is_none() {
            true => column.eq(Uuid::from(organization)),
            // The filter names few members.
            false => belongs_to(column, organization),
        }
    }

    /// Whether the condition has columns of `accounts`.
    fn reads_accounts(&self) -> bool {
        self.email.is_some() || self.login_provider.is_some()
    }

    fn condition(&self, due: Option<Timestamp>) -> Condition {
        use member::Column;

        let statuses: &[MemberStatus] = if self.statuses.is_empty() {
            &[MemberStatus::Active, MemberStatus::Suspended]
        } else {
            &self.statuses
        };
        let mut all = Condition::all().add(has_status(statuses, due));
        if let Some(admins) = self.admins {
            all = all.add(if admins { Column::Role.eq("admin") } else { Column::Role.ne("admin") });
        }
        if !self.ids.is_empty() {
            all = all.add(is_one_of(Column::Id, self.ids.iter().copied().map(Uuid::from)));
        }
        if !self.accounts.is_empty() {
            let accounts = self.accounts.iter().copied().map(Uuid::from);
            all = all.add(is_one_of(Column::AccountId, accounts));
        }
        if !self.search.is_empty() {
            let like = || LikeExpr::new(contains_pattern(&self.search)).escape('\\');
            all = all.add(
                Condition::any()
                    .add(Column::SortName.into_simple_expr().like(like()))
                    .add(Column::Email.into_simple_expr().like(like())),
            );
        }
        if !self.metadata.is_empty() {
            all = all.add(has_pairs(Column::Metadata, &self.metadata));
        }
        if let Some(id) = &self.external_id {
            all = all.add(Column::ExternalId.eq(id.as_str()));
        }
        if let Some(email) = &self.email {
            all = all.add(account::Column::Email.eq(email));
        }
        if let Some(kind) = self.login_provider {
            all = all.add(account::Column::LoginProviderKind.eq(kind.as_str()));
        }
        all
    }
}

/// The condition that a member has one of these statuses. A member whose membership has expired at
/// `due` counts as having left.
fn has_status(statuses: &[MemberStatus], due: Option<Timestamp>) -> Condition {
    use member::Column;

    let stored = Column::Status.is_in(statuses.iter().map(|status| status.as_str()));
    let Some(now) = due else { return Condition::all().add(stored) };
    if statuses.contains(&MemberStatus::Left) {
        return Condition::any().add(stored).add(Column::ExpiresAt.lte(now.as_micros()));
    }
    Condition::all().add(stored).add(lasts_beyond(now))
}

/// Members with their profiles and positions.
pub async fn page(
    db: &Db,
    organization: OrganizationId,
    page: MemberPage<'_>,
) -> Result<Vec<(MemberProfile, MemberCursor)>> {
    let column = match page.sort {
        MemberSort::Name => member::Column::SortName,
        MemberSort::Joined => member::Column::JoinedAt,
    };
    let order = if page.descending { Order::Desc } else { Order::Asc };
    let mut select = member::Entity::find()
        .filter(page.filter.in_organization(organization))
        .find_also_related(account::Entity)
        .filter(page.filter.condition(page.due))
        .order_by(column, order.clone())
        .order_by(member::Column::Id, order)
        .limit(page.limit);
    if let Some(except) = page.except {
        select = select.filter(member::Column::Id.ne(Uuid::from(except)));
    }
    if let Some(after) = page.after {
        let place: SimpleExpr = match page.sort {
            MemberSort::Name => Expr::value(after.name.clone()),
            MemberSort::Joined => Expr::value(after.joined_at),
        };
        let here = Expr::tuple([column.into_simple_expr(), member::Column::Id.into_simple_expr()]);
        let there = Expr::tuple([place, Expr::value(after.id)]);
        select = select.filter(if page.descending { here.lt(there) } else { here.gt(there) });
    }
    let rows = all(&db.for_lists(), &select).await?;
    rows.into_iter()
        .map(|mut row| {
            let member = row.model::<member::Entity>()?;
            let cursor = MemberCursor {
                name: member.sort_name.clone(),
                joined_at: member.joined_at,
                id: member.id,
            };
            let mut found = with_profile(member, row)?;
            if let Some(now) = page.due {
                found.member = found.member.as_of(now);
            }
            Ok((found, cursor))
        })
        .collect()
}

/// The number of members that match a filter; `due` as in [`MemberPage`].
pub async fn count(
    db: &Db,
    organization: OrganizationId,
    filter: &MemberFilter,
    due: Option<Timestamp>,
) -> Result<u64> {
    let mut select = member::Entity::find()
        .select_only()
        .column(member::Column::Id)
        .filter(filter.in_organization(organization))
        .filter(filter.condition(due));
    if filter.reads_accounts() {
        select = select.join(JoinType::InnerJoin, member::Relation::Account.def());
    }
    connection::count(&db.for_lists(), select).await
}

/// The number of members of each status and role that occur, including members that have left.
pub async fn counts(
    db: &Db,
    organization: OrganizationId,
) -> Result<Vec<(MemberStatus, Role, i64)>> {
    let its = member::Column::OrganizationId.eq(Uuid::from(organization));
    counted(db, member::Entity::find().filter(its)).await
}

/// As [`counts`], for members whose membership has expired at `now`, although they still count as
/// current in the store.
pub async fn counts_of_due(
    db: &Db,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<Vec<(MemberStatus, Role, i64)>> {
    counted(db, due_members(organization, now)).await
}

async fn counted(
    db: &Db,
    members: Select<member::Entity>,
) -> Result<Vec<(MemberStatus, Role, i64)>> {
    use member::Column;

    let select = members
        .select_only()
        .columns([Column::Status, Column::Role])
        .column_as(Expr::cust("COUNT(*)"), "number")
        .group_by(Column::Status)
        .group_by(Column::Role);
    let rows = all(&db.for_lists(), &select).await?.into_iter();
    let counts = rows.map(|mut row| {
        let status = stored("members.status", &row.value::<String>()?)?;
        let role = stored("members.role", &row.value::<String>()?)?;
        Ok((status, role, row.value()?))
    });
    counts.collect()
}

/// The organizations of which an account is an active member, oldest membership first.
pub async fn organizations_of(
    db: &impl Connection,
    account: AccountId,
    filter: &OrganizationFilter,
    after: Option<&MemberCursor>,
    limit: u64,
    now: Timestamp,
) -> Result<Vec<(Member, Organization)>> {
    use member::Column;

    let mut select = member::Entity::find()
        .filter(Column::AccountId.eq(Uuid::from(account)))
        .filter(Column::Status.eq(MemberStatus::Active.as_str()))
        .filter(lasts_beyond(now))
        .order_by_asc(Column::JoinedAt)
        .order_by_asc(Column::Id)
        .limit(limit);
    if let Some(only) = filter.only {
        select = select.filter(Column::OrganizationId.eq(Uuid::from(only)));
    }
    if let Some(after) = after {
        let here =
            Expr::tuple([Column::JoinedAt.into_simple_expr(), Column::Id.into_simple_expr()]);
        let there = Expr::tuple([Expr::value(after.joined_at), Expr::value(after.id)]);
        select = select.filter(here.gt(there));
    }
    if !filter.metadata.is_empty() {
        select = select.filter(has_pairs(organization::Column::Metadata, &filter.metadata));
    }
    if let Some(id) = &filter.external_id {
        select = select.filter(organization::Column::ExternalId.eq(id.as_str()));
    }
    let select = select
        .join(JoinType::InnerJoin, member::Relation::Organization.def())
        .select_also(organization::Entity);
    all(db, &select).await?.into_iter().map(with_organization).collect()
}
