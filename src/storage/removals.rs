//! Deletes the rows of deleted organizations in parts.
//!
//! An organization is deleted when its own row is deleted: every query of an organization's rows
//! joins that row or has locked it, so the other rows are no longer found. There may be very many
//! of these rows, and to delete them all at once would delay all other changes. They are deleted in
//! parts, each in a transaction of its own. For this reason they have no foreign key to the
//! organization.

use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Value,
};
use uuid::Uuid;

use super::connection::{self, Tx, models};
use super::entity::{grant, invite, join_request, member, notice, outbox, removal};
use crate::domain::OrganizationId;
use crate::error::Result;

/// Records that a deleted organization still has rows.
pub async fn insert(tx: &Tx, organization: OrganizationId) -> Result<()> {
    let row = removal::ActiveModel { organization_id: Set(organization.into()) };
    connection::insert(tx, row).await
}

/// A deleted organization that still has rows and that no other replica works on.
pub async fn next(tx: &Tx) -> Result<Option<OrganizationId>> {
    let one = removal::Entity::find()
        .limit(1)
        // SQLite has one writer, and ignores the lock.
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    Ok(models(tx, one).await?.first().map(|row| row.organization_id.into()))
}

/// Records that a deleted organization has no more rows.
pub async fn delete(tx: &Tx, organization: OrganizationId) -> Result<()> {
    let its = removal::Column::OrganizationId.eq(Uuid::from(organization));
    connection::delete(tx, removal::Entity::delete_many().filter(its)).await.map(drop)
}

/// Deletes at most `most` rows of a deleted organization; returns whether none is left.
pub async fn remove_rows(tx: &Tx, organization: OrganizationId, most: u64) -> Result<bool> {
    let of = Uuid::from(organization).into();
    // Rows that refer to others first, so that no foreign key deletes further rows.
    let mut left = most;
    let (id, organization) = (grant::Column::Id, grant::Column::OrganizationId);
    left -= remove(tx, grant::Entity, (id, organization), &of, left).await?;
    let (id, organization) = (outbox::Column::Id, outbox::Column::OrganizationId);
    left -= remove(tx, outbox::Entity, (id, organization), &of, left).await?;
    let (id, organization) = (notice::Column::Id, notice::Column::OrganizationId);
    left -= remove(tx, notice::Entity, (id, organization), &of, left).await?;
    let (id, organization) = (invite::Column::Id, invite::Column::OrganizationId);
    left -= remove(tx, invite::Entity, (id, organization), &of, left).await?;
    let (id, organization) = (join_request::Column::Id, join_request::Column::OrganizationId);
    left -= remove(tx, join_request::Entity, (id, organization), &of, left).await?;
    let (id, organization) = (member::Column::Id, member::Column::OrganizationId);
    left -= remove(tx, member::Entity, (id, organization), &of, left).await?;
    Ok(left > 0)
}

async fn remove<E: EntityTrait>(
    tx: &Tx,
    _: E,
    (id, organization): (E::Column, E::Column),
    of: &Value,
    most: u64,
) -> Result<u64> {
    if most == 0 {
        return Ok(0);
    }
    let some = E::find().select_only().column(id).filter(organization.eq(of.clone())).limit(most);
    let some = id.in_subquery(some.into_query());
    Ok(connection::delete(tx, E::delete_many().filter(some)).await?.min(most))
}
