//! Queries on `organizations`.

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Value,
};
use uuid::Uuid;

use super::Tx;
use super::entity::organization::{self, join_domains};
use super::error::OrError;
use super::text::{InsertText, Text, one};
use crate::domain::{Organization, OrganizationId};
use crate::error::Result;

/// The organization with this id.
pub async fn find(db: &impl ConnectionTrait, id: OrganizationId) -> Result<Option<Organization>> {
    static TEXT: Text = Text::new();
    let id = Uuid::from(id);
    let found = TEXT.statement(db, [id.into()], || organization::Entity::find_by_id(id));
    one::<organization::Model>(db, found).await?.map(Organization::try_from).transpose()
}

/// The organization with this id, its row locked until the transaction ends: the
/// first thing a change inside an organization does, so that changes follow one
/// another. (SQLite has one writer anyway, and leaves the lock out.)
pub async fn lock(tx: &Tx, id: OrganizationId) -> Result<Option<Organization>> {
    static TEXT: Text = Text::new();
    let id = Uuid::from(id);
    tx.will_lock(id).await;
    let locked =
        TEXT.statement(tx, [id.into()], || organization::Entity::find_by_id(id).lock_exclusive());
    one::<organization::Model>(tx, locked).await?.map(Organization::try_from).transpose()
}

/// Makes an organization.
pub async fn insert(tx: &Tx, new: &Organization) -> Result<()> {
    static TEXT: InsertText = InsertText::new();
    let row = organization::ActiveModel {
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
    };
    TEXT.insert(tx, row).await
}

/// Writes what a change made of a locked organization: name, domains, counters.
pub async fn update(tx: &Tx, changed: &Organization) -> Result<()> {
    use organization::Column;

    static TEXT: Text = Text::new();
    let id = Uuid::from(changed.id);
    let set: [(Column, Value); 7] = [
        (Column::Name, changed.name.as_str().into()),
        (Column::InviteDomains, join_domains(&changed.invite_domains).into()),
        (Column::UpdatedAt, changed.updated_at.as_micros().into()),
        (Column::Version, changed.version.into()),
        (Column::MemberCount, changed.member_count.into()),
        (Column::SeatLimit, changed.seat_limit.into()),
        (Column::Tier, changed.tier.as_str().into()),
    ];
    let update = TEXT
        .update(tx, organization::Entity, set, [id.into()], |rows| rows.filter(Column::Id.eq(id)));
    tx.write_later::<organization::Entity>(update).await
}

/// Writes that a change was made in a locked organization, and nothing else of it.
pub async fn set_version(tx: &Tx, changed: &Organization) -> Result<()> {
    use organization::Column;

    static TEXT: Text = Text::new();
    let id = Uuid::from(changed.id);
    let set = [(Column::Version, changed.version.into())];
    let update = TEXT
        .update(tx, organization::Entity, set, [id.into()], |rows| rows.filter(Column::Id.eq(id)));
    tx.write_later::<organization::Entity>(update).await
}

/// Takes an organization away. From then on nobody finds what is in it; see
/// [`removals`](super::removals).
pub async fn delete(tx: &Tx, id: OrganizationId) -> Result<()> {
    organization::Entity::delete_by_id(Uuid::from(id)).exec(tx).await.or_error()?;
    Ok(())
}
