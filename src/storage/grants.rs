//! Queries on `grants`.

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::connection::{self, Connection, Db, Tx, all, delete, models};
use super::entity::grant;
use super::members::ids_of_due_members;
use super::sql::is_one_of;
use super::statement::SIZES;
use crate::domain::{ContentGrant, Grant, GrantId, MemberId, OrganizationId, Timestamp};
use crate::error::Result;

/// Whether a member has exactly this grant.
pub async fn exists(
    db: &impl Connection,
    member: MemberId,
    content: &ContentGrant,
) -> Result<bool> {
    let select = grant::Entity::find()
        .filter(grant::Column::MemberId.eq(Uuid::from(member)))
        .filter(grant::Column::ContentKind.eq(content.kind.as_str()))
        .filter(grant::Column::ContentId.eq(content.id.as_str()))
        .filter(grant::Column::ContentLevel.eq(content.level.as_str()));
    Ok(!models(db, select).await?.is_empty())
}

/// Inserts a grant.
pub async fn insert(tx: &Tx, organization: OrganizationId, new: &Grant) -> Result<()> {
    let row = grant::ActiveModel {
        id: Set(new.id.into()),
        organization_id: Set(organization.into()),
        member_id: Set(new.member.into()),
        content_kind: Set(new.content.kind.as_str().to_owned()),
        content_id: Set(new.content.id.as_str().to_owned()),
        content_level: Set(new.content.level.as_str().to_owned()),
        invite_id: Set(new.invite.into()),
        created_at: Set(new.created_at.as_micros()),
    };
    connection::insert(tx, row).await
}

/// Deletes all grants of a member of a locked organization; returns their ids.
pub async fn delete_of_member(tx: &Tx, member: MemberId) -> Result<Vec<GrantId>> {
    let theirs = grant::Column::MemberId.eq(Uuid::from(member));
    let select =
        grant::Entity::find().select_only().column(grant::Column::Id).filter(theirs.clone());
    let mut ids = Vec::new();
    for mut row in all(tx, &select).await? {
        ids.push(GrantId::from(row.value::<Uuid>()?));
    }
    if !ids.is_empty() {
        delete(tx, grant::Entity::delete_many().filter(theirs)).await?;
    }
    Ok(ids)
}

/// Deletes all grants of these members of a locked organization; returns their ids with the
/// members.
pub async fn delete_of_members(tx: &Tx, members: &[MemberId]) -> Result<Vec<(GrantId, MemberId)>> {
    use grant::Column;

    let mut found = Vec::new();
    for members in members.chunks(SIZES[0]) {
        let theirs = is_one_of(Column::MemberId, members.iter().copied().map(Uuid::from));
        let select = grant::Entity::find()
            .select_only()
            .columns([Column::Id, Column::MemberId])
            .filter(theirs.clone());
        let rows = all(tx, &select).await?;
        if !rows.is_empty() {
            delete(tx, grant::Entity::delete_many().filter(theirs)).await?;
        }
        for mut row in rows {
            found.push((row.value::<Uuid>()?.into(), row.value::<Uuid>()?.into()));
        }
    }
    Ok(found)
}

/// At most `limit` grants of an organization, oldest first, newer than `after`. `due`: leaves out
/// the grants of members whose membership has expired at this moment.
pub async fn page(
    db: &Db,
    organization: OrganizationId,
    member: Option<MemberId>,
    after: Option<GrantId>,
    limit: u64,
    due: Option<Timestamp>,
) -> Result<Vec<Grant>> {
    let mut select = grant::Entity::find()
        .filter(grant::Column::OrganizationId.eq(Uuid::from(organization)))
        .order_by_asc(grant::Column::Id)
        .limit(limit);
    if let Some(member) = member {
        select = select.filter(grant::Column::MemberId.eq(Uuid::from(member)));
    }
    if let Some(after) = after {
        select = select.filter(grant::Column::Id.gt(Uuid::from(after)));
    }
    if let Some(now) = due {
        let ended = ids_of_due_members(organization, now);
        select = select.filter(grant::Column::MemberId.not_in_subquery(ended));
    }
    let rows = models(&db.for_lists(), select).await?;
    rows.into_iter().map(Grant::try_from).collect()
}
