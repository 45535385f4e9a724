//! Queries on `organizations`.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
};
use uuid::Uuid;

use super::Tx;
use super::entity::organization::{self, join_domains};
use super::error::OrError;
use super::query::unique;
use crate::domain::{Organization, OrganizationId};
use crate::error::Result;

/// The organization with this id.
pub async fn find(db: &impl ConnectionTrait, id: OrganizationId) -> Result<Option<Organization>> {
    let row = unique(organization::Entity::find_by_id(Uuid::from(id)), db).await?;
    row.map(Organization::try_from).transpose()
}

/// The organization with this id, its row locked until the transaction ends: the
/// first thing a change inside an organization does, so that changes follow one
/// another. (SQLite has one writer anyway, and leaves the lock out.)
pub async fn lock(tx: &Tx, id: OrganizationId) -> Result<Option<Organization>> {
    let select = organization::Entity::find_by_id(Uuid::from(id)).lock_exclusive();
    unique(select, tx).await?.map(Organization::try_from).transpose()
}

/// Makes an organization.
pub async fn insert(tx: &Tx, new: &Organization) -> Result<()> {
    organization::Entity::insert(organization::ActiveModel {
        id: Set(new.id.into()),
        name: Set(new.name.to_string()),
        invite_domains: Set(join_domains(&new.invite_domains)),
        tier: Set(new.tier.as_str().to_owned()),
        creator_id: Set(new.creator.into()),
        created_at: Set(new.created_at.as_micros()),
        updated_at: Set(new.updated_at.as_micros()),
        version: Set(new.version),
        member_count: Set(new.member_count),
        seat_limit: Set(new.seat_limit),
    })
    .exec_without_returning(tx)
    .await
    .or_error()?;
    Ok(())
}

/// Writes what a change made of a locked organization: name, domains, counters.
pub async fn update(tx: &Tx, changed: &Organization) -> Result<()> {
    use organization::Column;

    organization::Entity::update_many()
        .col_expr(Column::Name, Expr::value(changed.name.as_str()))
        .col_expr(Column::InviteDomains, Expr::value(join_domains(&changed.invite_domains)))
        .col_expr(Column::UpdatedAt, Expr::value(changed.updated_at.as_micros()))
        .col_expr(Column::Version, Expr::value(changed.version))
        .col_expr(Column::MemberCount, Expr::value(changed.member_count))
        .col_expr(Column::SeatLimit, Expr::value(changed.seat_limit))
        .col_expr(Column::Tier, Expr::value(changed.tier.as_str()))
        .filter(Column::Id.eq(Uuid::from(changed.id)))
        .exec(tx)
        .await
        .or_error()?;
    Ok(())
}

/// Deletes an organization; its members and invites go with it.
pub async fn delete(tx: &Tx, id: OrganizationId) -> Result<()> {
    organization::Entity::delete_by_id(Uuid::from(id)).exec(tx).await.or_error()?;
    Ok(())
}
