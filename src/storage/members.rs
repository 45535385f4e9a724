//! Queries on single rows of `members`. Lists are in `member_lists`.

use std::collections::{HashMap, HashSet};

use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, JoinType, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, RelationTrait, Select, Value,
};
use uuid::Uuid;

use super::connection::{self, Connection, Tx, all, first, insert_many, models, update};
use super::entity::{account, invite, member, organization, stored};
use super::sql::{Named, belongs_to, is_one_of, query};
use super::statement::{Row, SIZES};
use crate::domain::{
    AccountId, Authority, Departure, EmailAddress, InviteId, Member, MemberId, MemberProfile,
    MemberStatus, Organization, OrganizationId, Profile, Role, Timestamp,
};
use crate::error::Result;

/// The predicates of partial indexes. They are literals: with a bound value, the index is not used.
const CURRENT: &str = "\"members\".\"status\" <> 'left'";
const REMOVED: &str = "removed";
const ACTIVE_ADMIN: &str = "role = 'admin' AND status = 'active'";
const EXPIRING: &str = "expires_at IS NOT NULL AND status <> 'left'";

fn of_account(organization: OrganizationId, account: AccountId) -> Select<member::Entity> {
    member::Entity::find()
        .filter(member::Column::OrganizationId.eq(Uuid::from(organization)))
        .filter(member::Column::AccountId.eq(Uuid::from(account)))
}

fn current_of_account() -> Select<member::Entity> {
    of_account(Uuid::nil().into(), Uuid::nil().into()).filter(Expr::cust(CURRENT))
}

/// The values of [`current_of_account`].
fn key_of_account(organization: OrganizationId, account: AccountId) -> [Value; 2] {
    [Uuid::from(organization).into(), Uuid::from(account).into()]
}

/// An account's current membership: active or suspended.
pub async fn current(
    db: &impl Connection,
    organization: OrganizationId,
    account: AccountId,
) -> Result<Option<Member>> {
    static FIND: Named = Named::new(|| query(current_of_account()));
    let row = first(db, FIND.with(db, key_of_account(organization, account))).await?;
    row.map(|mut row| row.model::<member::Entity>()?.try_into()).transpose()
}

/// As [`current`], with the organization, in one statement.
pub async fn current_with_organization(
    db: &impl Connection,
    organization: OrganizationId,
    account: AccountId,
) -> Result<Option<(Member, Organization)>> {
    static FIND: Named = Named::new(|| {
        let select = current_of_account()
            .join(JoinType::InnerJoin, member::Relation::Organization.def())
            .select_also(organization::Entity);
        query(select)
    });
    let row = first(db, FIND.with(db, key_of_account(organization, account))).await?;
    row.map(with_organization).transpose()
}

/// An account's current memberships with their organizations.
pub async fn all_current_of(
    db: &impl Connection,
    account: AccountId,
) -> Result<Vec<(Member, Organization)>> {
    let select = member::Entity::find()
        .filter(member::Column::AccountId.eq(Uuid::from(account)))
        .filter(Expr::cust(CURRENT))
        // The rows of a deleted organization may still be there.
        .join(JoinType::InnerJoin, member::Relation::Organization.def())
        .select_also(organization::Entity)
        .order_by_asc(member::Column::OrganizationId);
    all(db, &select).await?.into_iter().map(with_organization).collect()
}

fn select_authority() -> Select<member::Entity> {
    use member::Column;

    current_of_account().select_only().columns([
        Column::Id,
        Column::Role,
        Column::Status,
        Column::ExpiresAt,
    ])
}

fn read_authority(row: &mut Row) -> Result<Authority> {
    Ok(Authority {
        id: row.value::<Uuid>()?.into(),
        role: stored("members.role", &row.value::<String>()?)?,
        status: stored("members.status", &row.value::<String>()?)?,
        expires_at: row.value::<Option<i64>>()?.map(Timestamp::from_micros),
    })
}

/// The authority of an account: id, role, status and end of its current membership.
pub async fn authority(
    db: &impl Connection,
    organization: OrganizationId,
    account: AccountId,
) -> Result<Option<Authority>> {
    static FIND: Named = Named::new(|| query(select_authority()));
    let row = first(db, FIND.with(db, key_of_account(organization, account))).await?;
    row.map(|mut row| read_authority(&mut row)).transpose()
}

/// As [`authority`], with the id of the organization's live join link.
pub async fn authority_and_join_link(
    db: &impl Connection,
    organization: OrganizationId,
    account: AccountId,
) -> Result<Option<(Authority, Option<InviteId>)>> {
    static FIND: Named = Named::new(|| {
        let select = select_authority()
            .join(JoinType::LeftJoin, member::Relation::JoinLink.def())
            .column_as(invite::Column::Id, "join_link_id");
        query(select)
    });
    let row = first(db, FIND.with(db, key_of_account(organization, account))).await?;
    let both = row.map(|mut row| {
        let authority = read_authority(&mut row)?;
        Ok((authority, row.value::<Option<Uuid>>()?.map(InviteId::from)))
    });
    both.transpose()
}

/// Reads a member, and the organization that follows it in a row.
pub(super) fn with_organization(mut row: Row) -> Result<(Member, Organization)> {
    let member = row.model::<member::Entity>()?;
    Ok((member.try_into()?, row.model::<organization::Entity>()?.try_into()?))
}

/// Reads the account that follows a member in a row, for the member's profile.
pub(super) fn with_profile(member: member::Model, mut row: Row) -> Result<MemberProfile> {
    let profile = row.model::<account::Entity>()?.profile()?;
    Ok(MemberProfile { profile, member: member.try_into()? })
}

/// The membership with this id in an organization, even if it has ended.
pub async fn find(
    db: &impl Connection,
    organization: OrganizationId,
    id: MemberId,
) -> Result<Option<Member>> {
    static FIND: Named = Named::new(|| {
        let its = member::Column::OrganizationId.eq(Uuid::nil());
        query(member::Entity::find_by_id(Uuid::nil()).filter(its))
    });
    let row = first(db, FIND.with(db, [Uuid::from(id).into(), Uuid::from(organization).into()]));
    row.await?.map(|mut row| row.model::<member::Entity>()?.try_into()).transpose()
}

/// The organization of a membership. It is for `LeaveOrganization`, whose request has only the
/// member's id.
pub async fn organization_of(db: &impl Connection, id: MemberId) -> Result<Option<OrganizationId>> {
    let rows = models(db, member::Entity::find_by_id(Uuid::from(id))).await?;
    Ok(rows.first().map(|row| row.organization_id.into()))
}

/// The newest removal of an account from an organization by an admin, even if later
/// memberships exist.
pub async fn last_removal(
    db: &impl Connection,
    organization: OrganizationId,
    account: AccountId,
) -> Result<Option<Departure>> {
    use member::Column;

    let newest = newest_removal(organization, account)
        .select_only()
        .columns([Column::LeftAt, Column::LeftVersion]);
    let row = all(db, &newest).await?.into_iter().next();
    let departure = row.map(|mut row| {
        let (at, version) = (Timestamp::from_micros(row.value()?), row.value()?);
        Ok(Departure { at, removed: true, version })
    });
    departure.transpose()
}

fn newest_removal(organization: OrganizationId, account: AccountId) -> Select<member::Entity> {
    of_account(organization, account)
        .filter(Expr::cust(REMOVED))
        .order_by_desc(member::Column::LeftVersion)
        .limit(1)
}

/// The organization's version at the newest removal, as a part of another query. Its values are
/// organization, account and limit.
pub(super) fn version_of_last_removal() -> SelectStatement {
    newest_removal(Uuid::nil().into(), Uuid::nil().into())
        .select_only()
        .column(member::Column::LeftVersion)
        .into_query()
}

/// Whether the organization has an active admin at `now`.
pub async fn has_active_admin(
    db: &impl Connection,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<bool> {
    let select = admins(organization).filter(lasts_beyond(now)).limit(1);
    Ok(!models(db, select).await?.is_empty())
}

/// Whether the organization has an active admin other than `except` whose membership has no end.
pub async fn has_lasting_admin(
    db: &impl Connection,
    organization: OrganizationId,
    except: MemberId,
) -> Result<bool> {
    let select = admins(organization)
        .filter(member::Column::ExpiresAt.is_null())
        .filter(member::Column::Id.ne(Uuid::from(except)))
        .limit(1);
    Ok(!models(db, select).await?.is_empty())
}

fn admins(organization: OrganizationId) -> Select<member::Entity> {
    member::Entity::find()
        .filter(member::Column::OrganizationId.eq(Uuid::from(organization)))
        .filter(Expr::cust(ACTIVE_ADMIN))
}

/// The condition that a membership has no end, or ends after `now`.
pub(super) fn lasts_beyond(now: Timestamp) -> Condition {
    Condition::any()
        .add(member::Column::ExpiresAt.is_null())
        .add(member::Column::ExpiresAt.gt(now.as_micros()))
}

/// The members of an organization whose membership has expired at `now`, although they still count
/// as current in the store.
pub(super) fn due_members(organization: OrganizationId, now: Timestamp) -> Select<member::Entity> {
    member::Entity::find()
        .filter(member::Column::OrganizationId.eq(Uuid::from(organization)))
        .filter(Expr::cust(EXPIRING))
        .filter(member::Column::ExpiresAt.lte(now.as_micros()))
}

/// The ids of `due_members`, as a part of another query.
pub(super) fn ids_of_due_members(organization: OrganizationId, now: Timestamp) -> SelectStatement {
    due_members(organization, now).select_only().column(member::Column::Id).into_query()
}

/// At most `limit` members whose membership has expired at `now`, although they still count as
/// current in the store; the earliest end first.
pub async fn due(
    tx: &Tx,
    organization: OrganizationId,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<Member>> {
    let select = due_members(organization, now)
        .order_by_asc(member::Column::ExpiresAt)
        .order_by_asc(member::Column::Id)
        .limit(limit);
    models(tx, select).await?.into_iter().map(Member::try_from).collect()
}

/// The number of members of an organization at `now`. One statement reads it, because another
/// transaction may end expired memberships meanwhile.
pub async fn count_at(
    db: &impl Connection,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<i64> {
    let due = due_members(organization, now)
        .select_only()
        .column_as(Expr::cust("COUNT(*)"), "due")
        .into_query();
    let select = organization::Entity::find_by_id(Uuid::from(organization))
        .select_only()
        .column(organization::Column::MemberCount)
        .column_as(Expr::SubQuery(None, Box::new(due.into())), "due");
    let Some(mut row) = all(db, &select).await?.into_iter().next() else { return Ok(0) };
    Ok(row.value::<i64>()? - row.value::<i64>()?)
}

/// Which of these memberships have expired at `now`, each with its end, whether or not the store
/// counts it as ended.
pub async fn ended_among(
    db: &impl Connection,
    organization: OrganizationId,
    ids: &[MemberId],
    now: Timestamp,
) -> Result<HashMap<MemberId, Timestamp>> {
    use member::Column;

    let mut found = HashMap::new();
    for ids in ids.chunks(SIZES[0]) {
        let select = member::Entity::find()
            .select_only()
            .columns([Column::Id, Column::ExpiresAt])
            .filter(belongs_to(Column::OrganizationId, organization))
            .filter(is_one_of(Column::Id, ids.iter().copied().map(Uuid::from)))
            .filter(Column::ExpiresAt.lte(now.as_micros()));
        for mut row in all(db, &select).await? {
            let id = row.value::<Uuid>()?.into();
            found.insert(id, Timestamp::from_micros(row.value()?));
        }
    }
    Ok(found)
}

/// The earliest end of a current member.
pub async fn next_end(tx: &Tx, organization: OrganizationId) -> Result<Option<Timestamp>> {
    let select = member::Entity::find()
        .select_only()
        .column(member::Column::ExpiresAt)
        .filter(member::Column::OrganizationId.eq(Uuid::from(organization)))
        .filter(Expr::cust(EXPIRING))
        .order_by_asc(member::Column::ExpiresAt)
        .limit(1);
    let row = all(tx, &select).await?.into_iter().next();
    row.map(|mut row| Ok(Timestamp::from_micros(row.value()?))).transpose()
}

/// Creates a membership of the account with this profile.
pub async fn insert(tx: &Tx, new: &Member, profile: &Profile) -> Result<()> {
    connection::insert(tx, row(new, profile)).await
}

/// Creates many memberships, each of the account with this profile.
pub async fn insert_all(tx: &Tx, new: Vec<(&Member, &Profile)>) -> Result<()> {
    let rows = new.into_iter().map(|(new, profile)| row(new, profile));
    insert_many(tx, rows.collect()).await
}

fn row(new: &Member, profile: &Profile) -> member::ActiveModel {
    member::ActiveModel {
        id: Set(new.id.into()),
        organization_id: Set(new.organization.into()),
        account_id: Set(new.account.into()),
        role: Set(new.role.as_str().to_owned()),
        status: Set(new.status.as_str().to_owned()),
        sort_name: Set(profile.sort_name()),
        email: Set(profile.email.as_ref().map(ToString::to_string)),
        joined_at: Set(new.joined_at.as_micros()),
        joined_by: Set(new.joined_by.as_str().to_owned()),
        invite_id: Set(new.invite.map(Into::into)),
        left_at: Set(new.departure.map(|left| left.at.as_micros())),
        removed: Set(new.departure.is_some_and(|left| left.removed)),
        left_version: Set(new.departure.map(|left| left.version)),
        metadata: Set(new.attributes.metadata.to_json()),
        external_id: Set(new.attributes.external_id.as_ref().map(ToString::to_string)),
        expires_at: Set(new.expires_at.map(Timestamp::as_micros)),
    }
}

/// Sets a member's role.
pub async fn set_role(
    tx: &Tx,
    organization: OrganizationId,
    id: MemberId,
    role: Role,
) -> Result<()> {
    set(tx, organization, id, member::Column::Role, role.as_str()).await
}

/// Suspends or restores a member.
pub async fn set_status(
    tx: &Tx,
    organization: OrganizationId,
    id: MemberId,
    status: MemberStatus,
) -> Result<()> {
    set(tx, organization, id, member::Column::Status, status.as_str()).await
}

async fn set(
    tx: &Tx,
    organization: OrganizationId,
    id: MemberId,
    column: member::Column,
    value: &str,
) -> Result<()> {
    let updated = member::Entity::update_many()
        .col_expr(column, Expr::value(value))
        .filter(member::Column::Id.eq(Uuid::from(id)))
        .filter(member::Column::OrganizationId.eq(Uuid::from(organization)));
    update(tx, updated).await.map(drop)
}

/// Which of these addresses are verified addresses of current members.
pub async fn addresses_among(
    db: &impl Connection,
    organization: OrganizationId,
    addresses: &[&EmailAddress],
) -> Result<HashSet<EmailAddress>> {
    let select = member::Entity::find()
        .select_only()
        .column(account::Column::Email)
        .join(JoinType::InnerJoin, member::Relation::Account.def())
        .filter(belongs_to(member::Column::OrganizationId, organization))
        .filter(Expr::cust(CURRENT))
        .filter(is_one_of(account::Column::Email, addresses.iter().map(|address| address.as_str())))
        .filter(account::Column::EmailVerified.eq(true));
    let emails = all(db, &select).await?.into_iter();
    emails.map(|mut row| stored("accounts.email", &row.value::<String>()?)).collect()
}

/// Sets or removes the end of a membership.
pub async fn set_expiry(
    tx: &Tx,
    organization: OrganizationId,
    id: MemberId,
    expires_at: Option<Timestamp>,
) -> Result<()> {
    use member::Column;

    let updated = member::Entity::update_many()
        .col_expr(Column::ExpiresAt, Expr::value(expires_at.map(Timestamp::as_micros)))
        .filter(Column::Id.eq(Uuid::from(id)))
        .filter(Column::OrganizationId.eq(Uuid::from(organization)));
    update(tx, updated).await.map(drop)
}

/// Ends expired memberships. Each gets its own expiry as the time of its end, and this version of
/// the organization. Their rows stay.
pub async fn expire(
    tx: &Tx,
    organization: OrganizationId,
    ids: &[MemberId],
    version: i64,
) -> Result<()> {
    use member::Column;

    for ids in ids.chunks(SIZES[0]) {
        let expired = member::Entity::update_many()
            .col_expr(Column::Status, Expr::value(MemberStatus::Left.as_str()))
            .col_expr(Column::LeftAt, Expr::col(Column::ExpiresAt))
            .col_expr(Column::LeftVersion, Expr::value(version))
            .filter(belongs_to(Column::OrganizationId, organization))
            .filter(is_one_of(Column::Id, ids.iter().copied().map(Uuid::from)));
        update(tx, expired).await?;
    }
    Ok(())
}

/// Ends a membership. Its row stays.
pub async fn depart(
    tx: &Tx,
    organization: OrganizationId,
    id: MemberId,
    departure: Departure,
) -> Result<()> {
    use member::Column;

    let departed = member::Entity::update_many()
        .col_expr(Column::Status, Expr::value(MemberStatus::Left.as_str()))
        .col_expr(Column::LeftAt, Expr::value(Timestamp::as_micros(departure.at)))
        .col_expr(Column::Removed, Expr::value(departure.removed))
        .col_expr(Column::LeftVersion, Expr::value(departure.version))
        .filter(Column::Id.eq(Uuid::from(id)))
        .filter(Column::OrganizationId.eq(Uuid::from(organization)));
    update(tx, departed).await.map(drop)
}
