//! Queries on `organizations`.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, DbBackend, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use uuid::Uuid;

use super::connection::{self, Connection, Tx, all, first, insert_many};
use super::entity::organization::{self, join_domains};
use super::sql::{Named, query, set};
use crate::domain::{Organization, OrganizationId, OrganizationVersion, Timestamp};
use crate::error::Result;

static FIND: Named = Named::new(|| query(organization::Entity::find_by_id(Uuid::nil())));

/// The organization with this id.
pub async fn find(db: &impl Connection, id: OrganizationId) -> Result<Option<Organization>> {
    let row = first(db, FIND.with(db, [Uuid::from(id).into()])).await?;
    row.map(|mut row| row.model::<organization::Entity>()?.try_into()).transpose()
}

/// The organization with this id, its row locked until the transaction ends. A change of an
/// organization locks this row first, so that the changes of one organization run one after
/// another.
///
/// On PostgreSQL, the transaction first waits for an advisory lock. If it waited for the row after
/// another transaction has updated it, PostgreSQL would give it its transaction id before it has
/// the row. These ids are the positions in the feed of events. SQLite has one writer, so nothing is
/// locked here.
pub async fn lock(tx: &Tx, id: OrganizationId) -> Result<Option<Organization>> {
    static LOCK: Named = Named::new(|| {
        let advisory = Expr::cust_with_values("pg_advisory_xact_lock($1) IS NOT NULL", [0_i64]);
        query(organization::Entity::find_by_id(Uuid::nil()).filter(advisory).lock_exclusive())
    });
    let id = Uuid::from(id);
    tx.locks(id);
    let statement = match tx.backend() {
        // The lower half of an id is a random negative number; other advisory locks have positive
        // numbers.
        DbBackend::Postgres => LOCK.with(tx, [id.into(), id.as_u64_pair().1.cast_signed().into()]),
        _ => FIND.with(tx, [id.into()]),
    };
    let row = first(tx, statement).await?;
    row.map(|mut row| row.model::<organization::Entity>()?.try_into()).transpose()
}

/// An organization with memberships that have expired, but still count as current in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WithDueMembers {
    pub id: OrganizationId,
    pub next_member_end: Timestamp,
}

/// At most `limit` organizations with memberships that have expired at `now`, but still count as
/// current in the store: after `after`, in the order of their earliest end and their id.
pub async fn with_due_members(
    db: &impl Connection,
    now: Timestamp,
    after: Option<WithDueMembers>,
    limit: u64,
) -> Result<Vec<WithDueMembers>> {
    use organization::Column;

    let mut select = organization::Entity::find()
        .select_only()
        .columns([Column::Id, Column::NextMemberEnd])
        .filter(Column::NextMemberEnd.lte(now.as_micros()))
        .order_by_asc(Column::NextMemberEnd)
        .order_by_asc(Column::Id)
        .limit(limit);
    if let Some(WithDueMembers { id, next_member_end }) = after {
        let beyond = Condition::any()
            .add(Column::NextMemberEnd.gt(next_member_end.as_micros()))
            .add(Column::Id.gt(Uuid::from(id)));
        select =
            select.filter(Column::NextMemberEnd.gte(next_member_end.as_micros())).filter(beyond);
    }
    let rows = all(db, &select).await?.into_iter();
    let due = rows.map(|mut row| {
        Ok(WithDueMembers {
            id: row.value::<Uuid>()?.into(),
            next_member_end: Timestamp::from_micros(row.value()?),
        })
    });
    due.collect()
}

/// Inserts an organization.
pub async fn insert(tx: &Tx, new: &Organization) -> Result<()> {
    tx.locks(new.id.into());
    connection::insert(tx, row(new)).await
}

/// Inserts many organizations.
pub async fn insert_all(tx: &Tx, new: &[Organization]) -> Result<()> {
    insert_many(tx, new.iter().map(row).collect()).await
}

fn row(new: &Organization) -> organization::ActiveModel {
    organization::ActiveModel {
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
        metadata: Set(new.attributes.metadata.to_json()),
        external_id: Set(new.attributes.external_id.as_ref().map(ToString::to_string)),
        next_member_end: Set(new.next_member_end.map(Timestamp::as_micros)),
    }
}

/// Updates a locked organization: name, domains, counters, limits.
pub async fn update(tx: &Tx, changed: &Organization) -> Result<()> {
    use organization::Column;

    static UPDATE: Named = Named::new(|| {
        let columns = [
            (Column::Name, "".into()),
            (Column::InviteDomains, "".into()),
            (Column::UpdatedAt, 0_i64.into()),
            (Column::Version, 0_i64.into()),
            (Column::MemberCount, 0_i64.into()),
            (Column::SeatLimit, 0_i64.into()),
            (Column::Tier, "".into()),
            (Column::NextMemberEnd, None::<i64>.into()),
        ];
        query(set(organization::Entity, columns).filter(Column::Id.eq(Uuid::nil())))
    });
    let values = [
        changed.name.as_str().into(),
        join_domains(&changed.invite_domains).into(),
        changed.updated_at.as_micros().into(),
        changed.version.into(),
        changed.member_count.into(),
        changed.seat_limit.into(),
        changed.tier.as_str().into(),
        changed.next_member_end.map(Timestamp::as_micros).into(),
        Uuid::from(changed.id).into(),
    ];
    Ok(tx.queue(UPDATE.changing::<organization::Entity, _>(tx, values)).await?)
}

/// Updates only the version of a locked organization.
pub async fn set_version(tx: &Tx, changed: OrganizationVersion) -> Result<()> {
    use organization::Column;

    static UPDATE: Named = Named::new(|| {
        let columns = [(Column::Version, 0_i64.into())];
        query(set(organization::Entity, columns).filter(Column::Id.eq(Uuid::nil())))
    });
    let values = [changed.version.into(), Uuid::from(changed.id).into()];
    Ok(tx.queue(UPDATE.changing::<organization::Entity, _>(tx, values)).await?)
}

/// Deletes an organization. Its other rows are no longer found; see
/// [`removals`](super::removals).
pub async fn delete(tx: &Tx, id: OrganizationId) -> Result<()> {
    let its = organization::Column::Id.eq(Uuid::from(id));
    connection::delete(tx, organization::Entity::delete_many().filter(its)).await.map(drop)
}
