//! Queries on `domains`: domains that organizations have verified, or want to verify.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::connection::{self, Connection, Db, Tx, count, models};
use super::entity::NEVER;
use super::entity::organization_domain::{self as entity, Column};
use crate::domain::{DomainId, EmailDomain, OrganizationDomain, OrganizationId, Timestamp};
use crate::error::Result;

/// A domain whose proof is due to be checked.
#[derive(Debug, Clone)]
pub struct DueDomain {
    pub domain: OrganizationDomain,
    due_at: i64,
}

fn of(organization: OrganizationId) -> Expr {
    Column::OrganizationId.eq(Uuid::from(organization))
}

fn one(organization: OrganizationId, id: DomainId) -> Condition {
    Condition::all().add(of(organization)).add(Column::Id.eq(Uuid::from(id)))
}

/// The first row that matches.
async fn only(db: &impl Connection, condition: Condition) -> Result<Option<OrganizationDomain>> {
    let rows = models(db, entity::Entity::find().filter(condition)).await?;
    rows.into_iter().next().map(TryInto::try_into).transpose()
}

/// Stores a new domain, which is not verified.
pub async fn insert(tx: &Tx, new: &OrganizationDomain) -> Result<()> {
    let row = entity::ActiveModel {
        id: Set(new.id.into()),
        organization_id: Set(new.organization.into()),
        domain: Set(new.name.to_string()),
        challenge: Set(new.challenge.as_str().to_owned()),
        mode: Set(new.mode.as_str().to_owned()),
        state: Set(new.state.as_str().to_owned()),
        created_at: Set(new.created_at.as_micros()),
        verified_at: Set(new.verified_at.map(Timestamp::as_micros)),
        checked_at: Set(new.checked_at.map(Timestamp::as_micros)),
        missing_since: Set(new.missing_since.map(Timestamp::as_micros)),
        next_check_at: Set(NEVER),
    };
    connection::insert(tx, row).await
}

/// The domain with this id.
pub async fn find(
    db: &impl Connection,
    organization: OrganizationId,
    id: DomainId,
) -> Result<Option<OrganizationDomain>> {
    only(db, one(organization, id)).await
}

/// The domain of an organization with this name.
pub async fn find_by_name(
    db: &impl Connection,
    organization: OrganizationId,
    name: &EmailDomain,
) -> Result<Option<OrganizationDomain>> {
    only(db, Condition::all().add(of(organization)).add(Column::Domain.eq(name.as_str()))).await
}

/// The verified domain with this name, of any organization.
pub async fn verified(
    db: &impl Connection,
    name: &EmailDomain,
) -> Result<Option<OrganizationDomain>> {
    // A literal, so that the partial index is used.
    let verified = Expr::cust("state = 'verified'");
    only(db, Condition::all().add(Column::Domain.eq(name.as_str())).add(verified)).await
}

/// The domains of an organization, oldest first.
pub async fn all_of(db: &Db, organization: OrganizationId) -> Result<Vec<OrganizationDomain>> {
    let all = entity::Entity::find().filter(of(organization)).order_by_asc(Column::Id);
    models(db, all).await?.into_iter().map(TryInto::try_into).collect()
}

/// How many domains a locked organization has.
pub async fn count_of(tx: &Tx, organization: OrganizationId) -> Result<u64> {
    count(tx, entity::Entity::find().filter(of(organization))).await
}

/// Updates mode, state and times of a domain of a locked organization. `next_check`: `None` means
/// never.
///
/// # Errors
/// ALREADY_EXISTS if it becomes verified, but is already verified for another organization.
pub async fn update(
    tx: &Tx,
    changed: &OrganizationDomain,
    next_check: Option<Timestamp>,
) -> Result<()> {
    let changes = entity::Entity::update_many()
        .col_expr(Column::Mode, Expr::value(changed.mode.as_str()))
        .col_expr(Column::State, Expr::value(changed.state.as_str()))
        .col_expr(Column::VerifiedAt, Expr::value(changed.verified_at.map(Timestamp::as_micros)))
        .col_expr(Column::CheckedAt, Expr::value(changed.checked_at.map(Timestamp::as_micros)))
        .col_expr(
            Column::MissingSince,
            Expr::value(changed.missing_since.map(Timestamp::as_micros)),
        )
        .col_expr(Column::NextCheckAt, Expr::value(next_check.map_or(NEVER, Timestamp::as_micros)))
        .filter(one(changed.organization, changed.id));
    connection::update(tx, changes).await.map(drop)
}

/// Updates the mode of a domain of a locked organization.
pub async fn set_mode(tx: &Tx, changed: &OrganizationDomain) -> Result<()> {
    let changes = entity::Entity::update_many()
        .col_expr(Column::Mode, Expr::value(changed.mode.as_str()))
        .filter(one(changed.organization, changed.id));
    connection::update(tx, changes).await.map(drop)
}

/// Deletes a domain of a locked organization.
pub async fn delete(tx: &Tx, organization: OrganizationId, id: DomainId) -> Result<()> {
    let it = entity::Entity::delete_many().filter(one(organization, id));
    connection::delete(tx, it).await.map(drop)
}

/// Deletes all domains of an organization that is being deleted; there are few.
pub async fn delete_all(tx: &Tx, organization: OrganizationId) -> Result<()> {
    let all = entity::Entity::delete_many().filter(of(organization));
    connection::delete(tx, all).await.map(drop)
}

/// At most `limit` domains of all organizations whose proof is due to be checked.
pub async fn due(db: &Db, now: Timestamp, limit: u64) -> Result<Vec<DueDomain>> {
    let due = entity::Entity::find()
        .filter(Column::NextCheckAt.lte(now.as_micros()))
        .order_by_asc(Column::NextCheckAt)
        .limit(limit);
    let rows = models(db, due).await?.into_iter();
    rows.map(|row| Ok(DueDomain { due_at: row.next_check_at, domain: row.try_into()? })).collect()
}

/// Claims a due domain until `until`, when it is due again; returns false if another replica was
/// first.
pub async fn claim(tx: &Tx, due: &DueDomain, until: Timestamp) -> Result<bool> {
    let claim = entity::Entity::update_many()
        .col_expr(Column::NextCheckAt, Expr::value(until.as_micros()))
        .filter(one(due.domain.organization, due.domain.id))
        .filter(Column::NextCheckAt.eq(due.due_at));
    Ok(connection::update(tx, claim).await? == 1)
}
