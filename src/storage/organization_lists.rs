//! Lists over `organizations`, newest first, for the operator.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::connection::{Db, models};
use super::entity::organization;
use crate::domain::{AccountId, Organization, OrganizationId};
use crate::error::Result;

/// At most `limit` organizations older than `before`, newest first; all organizations, or only
/// those that `creator` created, or only `only`.
pub async fn page(
    db: &Db,
    only: Option<OrganizationId>,
    creator: Option<AccountId>,
    before: Option<OrganizationId>,
    limit: u64,
) -> Result<Vec<Organization>> {
    use organization::Column;

    let mut select = organization::Entity::find()
        // The first page has this condition too, so that it uses the index in the same way as later
        // pages.
        .filter(Column::Id.lt(before.map_or(Uuid::max(), Uuid::from)))
        .order_by_desc(Column::Id)
        .limit(limit);
    if let Some(only) = only {
        select = select.filter(Column::Id.eq(Uuid::from(only)));
    }
    if let Some(creator) = creator {
        select = select.filter(Column::CreatorId.eq(Uuid::from(creator)));
    }
    let rows = models(&db.for_lists(), select).await?;
    rows.into_iter().map(Organization::try_from).collect()
}
