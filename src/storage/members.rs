//! Queries on single rows of `members`. Lists are in `member_lists`.

use std::collections::HashSet;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, JoinType,
    QueryFilter, QueryOrder, QuerySelect, RelationTrait, Value,
};
use uuid::Uuid;

use super::Tx;
use super::entity::{account, invite, member, organization, stored};
use super::error::OrError;
use super::query::{is_one_of, unique};
use super::text::{InsertText, Text, one, one_of_two};
use crate::domain::{
    AccountId, Authority, Departure, EmailAddress, InviteId, Member, MemberId, MemberProfile,
    MemberStatus, Organization, OrganizationId, Profile, Role, Timestamp,
};
use crate::error::{Error, Result};

/// The predicates of partial indexes, which only literals find.
const CURRENT: &str = "\"members\".\"status\" <> 'left'";
const REMOVED: &str = "removed";
const ACTIVE_ADMIN: &str = "role = 'admin' AND status = 'active'";

fn of_account(organization: OrganizationId, account: AccountId) -> sea_orm::Select<member::Entity> {
    member::Entity::find()
        .filter(member::Column::OrganizationId.eq(Uuid::from(organization)))
        .filter(member::Column::AccountId.eq(Uuid::from(account)))
}

/// What selects them.
fn key_of_account(organization: OrganizationId, account: AccountId) -> [Value; 2] {
    [Uuid::from(organization).into(), Uuid::from(account).into()]
}

/// An account's membership that has not ended.
pub async fn current(
    db: &impl ConnectionTrait,
    organization: OrganizationId,
    account: AccountId,
) -> Result<Option<Member>> {
    static TEXT: Text = Text::new();
    let found = TEXT.statement(db, key_of_account(organization, account), || {
        of_account(organization, account).filter(Expr::cust(CURRENT))
    });
    one::<member::Model>(db, found).await?.map(Member::try_from).transpose()
}

/// The same, with the organization, in one statement.
pub async fn current_with_organization(
    db: &impl ConnectionTrait,
    organization: OrganizationId,
    account: AccountId,
) -> Result<Option<(Member, Organization)>> {
    static TEXT: Text = Text::new();
    let found = TEXT.statement(db, key_of_account(organization, account), || {
        of_account(organization, account)
            .filter(Expr::cust(CURRENT))
            .join(JoinType::InnerJoin, member::Relation::Organization.def())
            .select_also(organization::Entity)
    });
    one_of_two(db, found).await?.map(with_organization).transpose()
}

#[derive(FromQueryResult)]
struct AuthorityRow {
    id: Uuid,
    role: String,
    status: String,
}

impl TryFrom<AuthorityRow> for Authority {
    type Error = Error;

    fn try_from(row: AuthorityRow) -> Result<Self> {
        Ok(Self {
            id: row.id.into(),
            role: stored("members.role", &row.role)?,
            status: stored("members.status", &row.status)?,
        })
    }
}

fn authority_of(
    organization: OrganizationId,
    account: AccountId,
) -> sea_orm::Select<member::Entity> {
    use member::Column;

    of_account(organization, account).filter(Expr::cust(CURRENT)).select_only().columns([
        Column::Id,
        Column::Role,
        Column::Status,
    ])
}

/// What such a membership allows.
pub async fn authority(
    db: &impl ConnectionTrait,
    organization: OrganizationId,
    account: AccountId,
) -> Result<Option<Authority>> {
    static TEXT: Text = Text::new();
    let key = key_of_account(organization, account);
    let found = TEXT.statement(db, key, || authority_of(organization, account));
    one::<AuthorityRow>(db, found).await?.map(Authority::try_from).transpose()
}

/// The same, with the id of the organization's live join link.
pub async fn authority_and_join_link(
    db: &impl ConnectionTrait,
    organization: OrganizationId,
    account: AccountId,
) -> Result<Option<(Authority, Option<InviteId>)>> {
    #[derive(FromQueryResult)]
    struct Row {
        #[sea_orm(nested)]
        authority: AuthorityRow,
        join_link_id: Option<Uuid>,
    }

    static TEXT: Text = Text::new();
    let found = TEXT.statement(db, key_of_account(organization, account), || {
        authority_of(organization, account)
            .join(JoinType::LeftJoin, member::Relation::JoinLink.def())
            .column_as(invite::Column::Id, "join_link_id")
    });
    let row = one::<Row>(db, found).await?;
    row.map(|row| Ok((row.authority.try_into()?, row.join_link_id.map(InviteId::from)))).transpose()
}

pub(super) fn with_organization(
    (member, organization): (member::Model, Option<organization::Model>),
) -> Result<(Member, Organization)> {
    let organization =
        organization.ok_or_else(|| Error::internal("a member without its organization"))?;
    Ok((member.try_into()?, organization.try_into()?))
}

pub(super) fn with_profile(
    (member, account): (member::Model, Option<account::Model>),
) -> Result<MemberProfile> {
    let account = account.ok_or_else(|| Error::internal("a member without its account"))?;
    Ok(MemberProfile { profile: account.profile()?, member: member.try_into()? })
}

/// The membership with this id in an organization, ended or not.
pub async fn find(
    db: &impl ConnectionTrait,
    organization: OrganizationId,
    id: MemberId,
) -> Result<Option<Member>> {
    let select = member::Entity::find_by_id(Uuid::from(id))
        .filter(member::Column::OrganizationId.eq(Uuid::from(organization)));
    unique(select, db).await?.map(Member::try_from).transpose()
}

/// The organization a membership belongs to; the one look-up that starts from a
/// member's id alone, since `LeaveOrganization` names nothing else.
pub async fn organization_of(
    db: &impl ConnectionTrait,
    id: MemberId,
) -> Result<Option<OrganizationId>> {
    let row = unique(member::Entity::find_by_id(Uuid::from(id)), db).await?;
    Ok(row.map(|row| row.organization_id.into()))
}

/// The newest removal of an account from an organization by an admin, whatever
/// memberships came after it.
pub async fn last_removal(
    db: &impl ConnectionTrait,
    organization: OrganizationId,
    account: AccountId,
) -> Result<Option<Departure>> {
    let row = of_account(organization, account)
        .filter(Expr::cust(REMOVED))
        .order_by_desc(member::Column::LeftVersion)
        .limit(1)
        .all(db)
        .await
        .or_error()?
        .into_iter()
        .next();
    let member = row.map(Member::try_from).transpose()?;
    Ok(member.and_then(|member| member.departure))
}

/// Whether the organization has an active admin other than `except`.
pub async fn has_active_admin(
    db: &impl ConnectionTrait,
    organization: OrganizationId,
    except: Option<MemberId>,
) -> Result<bool> {
    let mut select = member::Entity::find()
        .filter(member::Column::OrganizationId.eq(Uuid::from(organization)))
        .filter(Expr::cust(ACTIVE_ADMIN))
        .limit(1);
    if let Some(except) = except {
        select = select.filter(member::Column::Id.ne(Uuid::from(except)));
    }
    Ok(!select.all(db).await.or_error()?.is_empty())
}

/// Creates a membership of the account with this profile.
pub async fn insert(tx: &Tx, new: &Member, profile: &Profile) -> Result<()> {
    static TEXT: InsertText = InsertText::new();
    let row = member::ActiveModel {
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
    };
    TEXT.insert(tx, row).await
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
    member::Entity::update_many()
        .col_expr(column, Expr::value(value))
        .filter(member::Column::Id.eq(Uuid::from(id)))
        .filter(member::Column::OrganizationId.eq(Uuid::from(organization)))
        .exec(tx)
        .await
        .or_error()?;
    Ok(())
}

/// Which of these addresses are verified ones of members that have not left.
pub async fn addresses_among(
    db: &impl ConnectionTrait,
    organization: OrganizationId,
    addresses: &[&EmailAddress],
) -> Result<HashSet<EmailAddress>> {
    let rows: Vec<String> = member::Entity::find()
        .select_only()
        .column(account::Column::Email)
        .join(JoinType::InnerJoin, member::Relation::Account.def())
        .filter(member::Column::OrganizationId.eq(Uuid::from(organization)))
        .filter(Expr::cust(CURRENT))
        .filter(is_one_of(account::Column::Email, addresses.iter().map(|address| address.as_str())))
        .filter(account::Column::EmailVerified.eq(true))
        .into_tuple()
        .all(db)
        .await
        .or_error()?;
    rows.iter().map(|email| stored("accounts.email", email)).collect()
}

/// Ends a membership; the row stays.
pub async fn depart(
    tx: &Tx,
    organization: OrganizationId,
    id: MemberId,
    departure: Departure,
) -> Result<()> {
    use member::Column;

    member::Entity::update_many()
        .col_expr(Column::Status, Expr::value(MemberStatus::Left.as_str()))
        .col_expr(Column::LeftAt, Expr::value(Timestamp::as_micros(departure.at)))
        .col_expr(Column::Removed, Expr::value(departure.removed))
        .col_expr(Column::LeftVersion, Expr::value(departure.version))
        .filter(Column::Id.eq(Uuid::from(id)))
        .filter(Column::OrganizationId.eq(Uuid::from(organization)))
        .exec(tx)
        .await
        .or_error()?;
    Ok(())
}
