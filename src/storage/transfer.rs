//! Queries on all tables for exports, and on many rows for imports.

use sea_orm::{
    ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationTrait, Select,
};
use uuid::Uuid;

use super::connection::{Connection, all, models};
use super::entity::{account, invite, member, organization};
use super::sql::{belongs_to, is_one_of};
use super::statement::SIZES;
use crate::domain::{
    Account, AccountId, EmailAddress, Invite, InviteId, InviteKind, InviteState, Member, MemberId,
    Organization, OrganizationId, Timestamp,
};
use crate::error::Result;

/// The rows of a table after this id, in the order of ids.
fn behind<E: EntityTrait>(id: E::Column, after: Option<Uuid>, limit: u64) -> Select<E> {
    let select = E::find().order_by_asc(id).limit(limit);
    match after {
        Some(after) => select.filter(id.gt(after)),
        None => select,
    }
}

/// At most `limit` accounts after this one, in the order of ids.
pub async fn accounts(
    db: &impl Connection,
    after: Option<AccountId>,
    limit: u64,
) -> Result<Vec<Account>> {
    let page = behind::<account::Entity>(account::Column::Id, after.map(Into::into), limit);
    models(db, page).await?.into_iter().map(Account::try_from).collect()
}

/// At most `limit` organizations after this one, in the order of ids.
pub async fn organizations(
    db: &impl Connection,
    after: Option<OrganizationId>,
    limit: u64,
) -> Result<Vec<Organization>> {
    let id = organization::Column::Id;
    let page = behind::<organization::Entity>(id, after.map(Into::into), limit);
    models(db, page).await?.into_iter().map(Organization::try_from).collect()
}

/// At most `limit` memberships after this one, including ended ones, in the order of ids.
pub async fn members(
    db: &impl Connection,
    after: Option<MemberId>,
    limit: u64,
) -> Result<Vec<Member>> {
    let page = behind::<member::Entity>(member::Column::Id, after.map(Into::into), limit)
        // The rows of a deleted organization may still be there.
        .join(JoinType::InnerJoin, member::Relation::Organization.def());
    models(db, page).await?.into_iter().map(Member::try_from).collect()
}

/// At most `limit` pending email invitations after this one, in the order of ids, each with the
/// account of its inviter.
pub async fn invitations(
    db: &impl Connection,
    after: Option<InviteId>,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<(Invite, AccountId)>> {
    use invite::Column;

    let page = behind::<invite::Entity>(Column::Id, after.map(Into::into), limit)
        .filter(Column::Kind.eq(InviteKind::Email.as_str()))
        .filter(Column::State.eq(InviteState::Live.as_str()))
        .filter(Column::ExpiresAt.gt(now.as_micros()))
        .join(JoinType::InnerJoin, invite::Relation::Organization.def())
        .join(JoinType::InnerJoin, invite::Relation::Inviter.def())
        .select_also(member::Entity);
    let rows = all(db, &page).await?.into_iter();
    rows.map(|mut row| {
        let invite = row.model::<invite::Entity>()?.try_into()?;
        Ok((invite, row.model::<member::Entity>()?.account_id.into()))
    })
    .collect()
}

/// The rows with these ids.
async fn with_ids<E, I>(db: &impl Connection, column: E::Column, ids: &[I]) -> Result<Vec<E::Model>>
where
    E: EntityTrait,
    E::ActiveModel: sea_orm::ActiveModelTrait<Entity = E> + sea_orm::TryIntoModel<E::Model>,
    I: Copy + Into<Uuid>,
{
    let mut found = Vec::new();
    for ids in ids.chunks(SIZES[0]) {
        let some = E::find().filter(is_one_of(column, ids.iter().map(|id| (*id).into())));
        found.extend(models(db, some).await?);
    }
    Ok(found)
}

/// The accounts with these ids.
pub async fn accounts_with_ids(db: &impl Connection, ids: &[AccountId]) -> Result<Vec<Account>> {
    let rows = with_ids::<account::Entity, _>(db, account::Column::Id, ids).await?;
    rows.into_iter().map(Account::try_from).collect()
}

/// The accounts of these subjects of an issuer.
pub async fn accounts_with_subjects(
    db: &impl Connection,
    issuer: &str,
    subjects: &[&str],
) -> Result<Vec<Account>> {
    let mut found = Vec::new();
    for subjects in subjects.chunks(SIZES[0]) {
        let some = account::Entity::find()
            .filter(account::Column::Issuer.eq(issuer))
            .filter(is_one_of(account::Column::Subject, subjects.iter().copied()));
        found.extend(models(db, some).await?);
    }
    found.into_iter().map(Account::try_from).collect()
}

/// The accounts with these addresses.
pub async fn accounts_with_addresses(
    db: &impl Connection,
    addresses: &[&EmailAddress],
) -> Result<Vec<Account>> {
    let mut found = Vec::new();
    for addresses in addresses.chunks(SIZES[0]) {
        let texts = addresses.iter().map(|address| address.as_str());
        let some = account::Entity::find().filter(is_one_of(account::Column::Email, texts));
        found.extend(models(db, some).await?);
    }
    found.into_iter().map(Account::try_from).collect()
}

/// The organizations with these ids.
pub async fn organizations_with_ids(
    db: &impl Connection,
    ids: &[OrganizationId],
) -> Result<Vec<Organization>> {
    let rows = with_ids::<organization::Entity, _>(db, organization::Column::Id, ids).await?;
    rows.into_iter().map(Organization::try_from).collect()
}

/// The memberships with these ids, in any organization: each id is unique.
pub async fn members_with_ids(db: &impl Connection, ids: &[MemberId]) -> Result<Vec<Member>> {
    let rows = with_ids::<member::Entity, _>(db, member::Column::Id, ids).await?;
    rows.into_iter().map(Member::try_from).collect()
}

/// The current memberships of these accounts in an organization.
pub async fn current_members(
    db: &impl Connection,
    organization: OrganizationId,
    accounts: &[AccountId],
) -> Result<Vec<Member>> {
    let mut found = Vec::new();
    for accounts in accounts.chunks(SIZES[0]) {
        let ids = accounts.iter().copied().map(Uuid::from);
        let some = member::Entity::find()
            .filter(belongs_to(member::Column::OrganizationId, organization))
            .filter(is_one_of(member::Column::AccountId, ids))
            .filter(sea_orm::sea_query::Expr::cust("\"members\".\"status\" <> 'left'"));
        found.extend(models(db, some).await?);
    }
    found.into_iter().map(Member::try_from).collect()
}

/// Which of these invites exist, in any organization and state.
pub async fn existing_invites(db: &impl Connection, ids: &[InviteId]) -> Result<Vec<InviteId>> {
    let mut found = Vec::new();
    for ids in ids.chunks(SIZES[0]) {
        let some = invite::Entity::find()
            .select_only()
            .column(invite::Column::Id)
            .filter(is_one_of(invite::Column::Id, ids.iter().copied().map(Uuid::from)));
        for mut row in all(db, &some).await? {
            found.push(row.value::<Uuid>()?.into());
        }
    }
    Ok(found)
}

/// An active admin of an organization whose membership has no end: the one with the lowest id.
pub async fn first_admin(
    db: &impl Connection,
    organization: OrganizationId,
) -> Result<Option<MemberId>> {
    let admins = member::Entity::find()
        .filter(member::Column::OrganizationId.eq(Uuid::from(organization)))
        .filter(sea_orm::sea_query::Expr::cust("role = 'admin' AND status = 'active'"))
        .filter(member::Column::ExpiresAt.is_null())
        .order_by_asc(member::Column::Id)
        .limit(1);
    Ok(models(db, admins).await?.first().map(|row| row.id.into()))
}
