//! What is left of deleted organizations, and its removal in parts.
//!
//! An organization is deleted with its own row: whatever reads an organization's rows
//! joins that row or has locked it, so nothing else of it is found any more. Its other
//! rows may be very many, and to delete them at once would keep every other change
//! waiting. They go in parts, each in a transaction of its own. No foreign key leads from
//! them to the organization for this reason.

use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Value,
};
use uuid::Uuid;

use super::Tx;
use super::entity::{grant, invite, member, outbox, removal};
use super::error::OrError;
use crate::domain::OrganizationId;
use crate::error::Result;

/// Remembers that there are rows of a deleted organization.
pub async fn insert(tx: &Tx, organization: OrganizationId) -> Result<()> {
    let row = removal::ActiveModel { organization_id: Set(organization.into()) };
    removal::Entity::insert(row).exec_without_returning(tx).await.or_error()?;
    Ok(())
}

/// A deleted organization of which there are rows, if there is one at which nobody else
/// is.
pub async fn next(tx: &Tx) -> Result<Option<OrganizationId>> {
    let rows = removal::Entity::find()
        .limit(1)
        // SQLite has one writer anyway, and leaves the lock out.
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx)
        .await
        .or_error()?;
    Ok(rows.first().map(|row| row.organization_id.into()))
}

/// Forgets that there are any.
pub async fn delete(tx: &Tx, organization: OrganizationId) -> Result<()> {
    removal::Entity::delete_by_id(Uuid::from(organization)).exec(tx).await.or_error()?;
    Ok(())
}

/// Removes at most `most` rows of a deleted organization; answers whether those were all.
pub async fn remove_rows(tx: &Tx, organization: OrganizationId, most: u64) -> Result<bool> {
    let of = Uuid::from(organization).into();
    // What refers to other rows goes before those, so that none takes more along.
    let mut left = most;
    let (id, organization) = (grant::Column::Id, grant::Column::OrganizationId);
    left -= remove(tx, grant::Entity, (id, organization), &of, left).await?;
    let (id, organization) = (outbox::Column::Id, outbox::Column::OrganizationId);
    left -= remove(tx, outbox::Entity, (id, organization), &of, left).await?;
    let (id, organization) = (invite::Column::Id, invite::Column::OrganizationId);
    left -= remove(tx, invite::Entity, (id, organization), &of, left).await?;
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
    let removed = E::delete_many().filter(some).exec(tx).await.or_error()?;
    Ok(removed.rows_affected.min(most))
}
