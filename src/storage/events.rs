//! Queries on `audit_events` as the feed of events.

use std::collections::HashSet;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, ExprTrait, Order, QueryFilter, QueryOrder, QuerySelect,
    Select,
};
use uuid::Uuid;

use super::connection::{Connection, Db, Tx, all, delete, first, models};
use super::entity::audit_event::{self, Column};
use super::postgres;
use super::sql::{Named, is_one_of, query};
use super::statement::Statement;
use crate::domain::{AuditEvent, AuditEventId, FeedPlace, OrganizationId, Timestamp};
use crate::error::Result;

/// A column of the feed's order, and its value at a place.
type Part = (Column, fn(FeedPlace) -> i64);

/// The feed's order. SQLite's epoch never changes, and its position is the key of the table.
fn parts(backend: DbBackend) -> &'static [Part] {
    const POSITION: Part = (Column::Position, |at| at.position);
    match backend {
        DbBackend::Postgres => {
            &[(Column::Epoch, |at| at.epoch), POSITION, (Column::Ordinal, |at| at.ordinal)]
        }
        _ => &[POSITION],
    }
}

/// The columns of the feed's order, to compare with [`place`].
pub(super) fn order(backend: DbBackend) -> Expr {
    Expr::tuple(parts(backend).iter().map(|(column, _)| Expr::col(*column)))
}

/// Rows in the feed's order, or in the opposite one.
pub(super) fn ordered(
    backend: DbBackend,
    select: Select<audit_event::Entity>,
    order: Order,
) -> Select<audit_event::Entity> {
    let columns = parts(backend).iter().map(|(column, _)| *column);
    columns.fold(select, |select, column| select.order_by(column, order.clone()))
}

/// The values of a place, to compare with [`order`].
pub(super) fn place(backend: DbBackend, at: FeedPlace) -> Expr {
    Expr::tuple(parts(backend).iter().map(|(_, value)| Expr::value(value(at))))
}

/// The rows after `after`, up to and including `until`.
fn range(
    backend: DbBackend,
    after: Option<FeedPlace>,
    until: FeedPlace,
) -> Select<audit_event::Entity> {
    let until = order(backend).lte(place(backend, until));
    let select = audit_event::Entity::find().filter(until);
    match after {
        Some(after) => select.filter(order(backend).gt(place(backend, after))),
        None => select,
    }
}

/// The newest event that readers may get. Every event before it is committed, so a reader that has
/// read up to it has missed none.
pub async fn newest(db: &Db) -> Result<Option<AuditEvent>> {
    fn newest(backend: DbBackend) -> Select<audit_event::Entity> {
        ordered(backend, audit_event::Entity::find(), Order::Desc).limit(1)
    }

    static SQLITE: Named = Named::new(|| query(newest(DbBackend::Sqlite)));
    static POSTGRES: Named =
        Named::new(|| query(newest(DbBackend::Postgres).filter(Expr::cust(postgres::SETTLED))));
    let statement = match db.backend() {
        DbBackend::Postgres => &POSTGRES,
        _ => &SQLITE,
    };
    // The value is that of LIMIT.
    let row = first(db, statement.with(db, [1_u64.into()])).await?;
    Ok(row.map(|mut row| row.model::<audit_event::Entity>()).transpose()?.map(Into::into))
}

/// The event with this id.
pub async fn find(db: &Db, id: AuditEventId) -> Result<Option<AuditEvent>> {
    let found = models(db, audit_event::Entity::find_by_id(Uuid::from(id))).await?;
    Ok(found.into_iter().next().map(Into::into))
}

/// The first event that was made at `time` or later, by the clocks of the servers.
pub async fn first_since(db: &Db, time: Timestamp) -> Result<Option<AuditEvent>> {
    // Ids begin with their time, so this needs no index of times.
    let first = audit_event::Entity::find()
        .filter(Column::Id.gte(AuditEventId::first_at(time)))
        .order_by_asc(Column::Id)
        .limit(1);
    Ok(models(db, first).await?.into_iter().next().map(Into::into))
}

/// At most `limit` events after `after`, up to and including `until`, in the feed's order: those of
/// one organization, or all events.
pub async fn between(
    db: &Db,
    organization: Option<OrganizationId>,
    after: Option<FeedPlace>,
    until: FeedPlace,
    limit: u64,
) -> Result<Vec<AuditEvent>> {
    let backend = db.backend();
    let mut select = ordered(backend, range(backend, after, until), Order::Asc).limit(limit);
    if let Some(organization) = organization {
        select = select.filter(Column::OrganizationId.eq(Uuid::from(organization)));
    }
    let rows = models(&db.for_lists(), select).await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// The organization, the type and the place of an event.
#[derive(Debug, Clone)]
pub struct EventHead {
    pub organization: Option<OrganizationId>,
    pub action: String,
    pub place: FeedPlace,
}

/// The heads of at most `limit` events after `after`, up to and including `until`, in the feed's
/// order.
pub async fn heads_between(
    db: &Db,
    after: FeedPlace,
    until: FeedPlace,
    limit: u64,
) -> Result<Vec<EventHead>> {
    let backend = db.backend();
    let select = range(backend, Some(after), until).select_only().columns([
        Column::OrganizationId,
        Column::Action,
        Column::Epoch,
        Column::Position,
        Column::Ordinal,
    ]);
    let select = ordered(backend, select, Order::Asc).limit(limit);
    let rows = all(&db.for_lists(), &select).await?;
    let heads = rows.into_iter().map(|mut row| {
        Ok(EventHead {
            organization: row.value::<Option<Uuid>>()?.map(Into::into),
            action: row.value()?,
            place: FeedPlace { epoch: row.value()?, position: row.value()?, ordinal: row.value()? },
        })
    });
    heads.collect()
}

/// The organizations of the events after `after`, up to and including `until`; a `None` in the set
/// means events outside of organizations. Returns `None` if there are `limit` events or more.
pub(super) async fn organizations_between(
    db: &Db,
    after: FeedPlace,
    until: FeedPlace,
    limit: u64,
) -> Result<Option<HashSet<Option<OrganizationId>>>> {
    let select = range(db.backend(), Some(after), until)
        .select_only()
        .column(Column::OrganizationId)
        .limit(limit);
    let rows = all(db, &select).await?;
    if u64::try_from(rows.len()).unwrap_or(u64::MAX) >= limit {
        return Ok(None);
    }
    let ids = rows.into_iter().map(|mut row| row.value::<Option<Uuid>>());
    let ids = ids.map(|id| Ok(id?.map(OrganizationId::from)));
    ids.collect::<Result<_>>().map(Some)
}

/// The time since which the oldest waiting event waits, and a description of the oldest open
/// transaction. A committed event waits until all older transactions have ended; readers do not get
/// it before. `None` if no event waits, and always on SQLite.
pub async fn oldest_waiting(db: &Db) -> Result<Option<(Timestamp, String)>> {
    // Describes the oldest open transaction that has an id, as the database names it.
    const HOLDER: &str = "\
        SELECT what FROM ( \
          SELECT age(transaction) AS age, format('the prepared transaction %L of database %I, prepared %s', \
            gid, database, prepared) AS what FROM pg_prepared_xacts \
          UNION ALL \
          SELECT age(backend_xid), format('process %s (%s) of database %I, in a transaction since %s', \
            pid, application_name, datname, xact_start) FROM pg_stat_activity \
            WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() \
        ) AS open ORDER BY age DESC LIMIT 1";
    static WAITING: Named = Named::new(|| {
        let waiting = audit_event::Entity::find()
            .select_only()
            .column(Column::At)
            .filter(Expr::cust(postgres::SETTLED).not())
            .order_by_asc(Column::At)
            .limit(1);
        query(waiting)
    });
    if db.backend() != DbBackend::Postgres {
        return Ok(None);
    }
    let waiting = first(db, WAITING.with(db, [1_u64.into()])).await?;
    let Some(mut waiting) = waiting else { return Ok(None) };
    let since = Timestamp::from_micros(waiting.value()?);
    let holder = match first(db, Statement::new(HOLDER, Vec::new())).await? {
        Some(mut row) => row.value()?,
        None => "a transaction that this role may not see".to_owned(),
    };
    Ok(Some((since, holder)))
}

/// Deletes at most `limit` of the oldest events, if they are older than `before`; returns how many.
/// It never deletes the newest of all events: the cursors of idle readers point to it, and SQLite
/// would use its position again.
pub async fn prune(tx: &Tx, before: Timestamp, limit: u64) -> Result<u64> {
    let oldest = ordered(tx.backend(), audit_event::Entity::find(), Order::Asc).limit(limit + 1);
    let mut rows = models(tx, oldest).await?;
    // The last row only proves that none of the other rows is the newest event.
    rows.pop();
    let old = rows.iter().take_while(|row| row.at < before.as_micros()).map(|row| row.id);
    let old: Vec<Uuid> = old.collect();
    if old.is_empty() {
        return Ok(0);
    }
    delete(tx, audit_event::Entity::delete_many().filter(is_one_of(Column::Id, old))).await
}

/// The newest event before a place.
pub async fn before(db: &Db, at: FeedPlace) -> Result<Option<AuditEvent>> {
    let backend = db.backend();
    let before = audit_event::Entity::find().filter(order(backend).lt(place(backend, at)));
    let before = ordered(backend, before, Order::Desc).limit(1);
    Ok(models(db, before).await?.into_iter().next().map(Into::into))
}
