//! Queries on `notices`: mails about changes, which wait to be sent. A row refers to its subject;
//! the mail is rendered when it is sent.
//!
//! The row of a mail about pending requests to join stays for some time after the mail is sent, so
//! that no other mail about such requests is sent meanwhile.

use std::collections::HashSet;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect,
    RelationTrait,
};
use uuid::Uuid;

use super::connection::{Connection, Db, Tx, all, delete, insert_many, update};
use super::entity::notice::{self, Column};
use super::entity::{account, member, stored};
use super::lease::{self, Leased, held};
use super::members::lasts_beyond;
use crate::domain::{AccountId, NoticeId, NoticeKind, OrganizationId, Timestamp, TraceParent};
use crate::error::Result;

/// The predicate of the partial index; a literal, so that the index is used.
const ACTIVE_ADMIN: &str = "role = 'admin' AND status = 'active'";

/// What a mail is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    pub organization: OrganizationId,
    pub kind: NoticeKind,
    /// The id of the request to join or of the domain; for a mail about pending requests, that of
    /// the organization.
    pub subject: Uuid,
}

/// A mail that a worker has claimed and sends now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    pub id: NoticeId,
    pub topic: Topic,
    pub recipient: AccountId,
    pub told_version: i64,
    /// The number of earlier attempts.
    pub attempts: i64,
    /// The trace of the request that caused it.
    pub trace: Option<TraceParent>,
}

/// The accounts of at most `limit` active admins that have a verified address, in the order in
/// which they joined.
pub async fn admins(
    tx: &Tx,
    organization: OrganizationId,
    limit: u64,
    now: Timestamp,
) -> Result<Vec<AccountId>> {
    let select = member::Entity::find()
        .select_only()
        .column(member::Column::AccountId)
        .join(JoinType::InnerJoin, member::Relation::Account.def())
        .filter(member::Column::OrganizationId.eq(Uuid::from(organization)))
        .filter(Expr::cust(ACTIVE_ADMIN))
        .filter(lasts_beyond(now))
        .filter(account::Column::Email.is_not_null())
        .filter(account::Column::EmailVerified.eq(true))
        .order_by_asc(member::Column::JoinedAt)
        .order_by_asc(member::Column::Id)
        .limit(limit);
    let rows = all(tx, &select).await?.into_iter();
    rows.map(|mut row| Ok(row.value::<Uuid>()?.into())).collect()
}

/// Enqueues a mail to each of these accounts that has no row of this topic. The organization's
/// row must be locked.
pub async fn enqueue(
    tx: &Tx,
    topic: Topic,
    recipients: Vec<AccountId>,
    trace: Option<TraceParent>,
    now: Timestamp,
) -> Result<()> {
    let there = notice::Entity::find()
        .select_only()
        .column(Column::AccountId)
        .filter(Column::OrganizationId.eq(Uuid::from(topic.organization)))
        .filter(Column::Kind.eq(topic.kind.as_str()))
        .filter(Column::SubjectId.eq(topic.subject));
    let there = all(tx, &there).await?.into_iter().map(|mut row| row.value::<Uuid>());
    let there = there.collect::<Result<HashSet<_>, _>>()?;
    let trace = trace.map(|trace| trace.to_string());
    let recipients = recipients.into_iter().map(Uuid::from);
    let rows =
        recipients.filter(|account| !there.contains(account)).map(|account| notice::ActiveModel {
            id: Set(NoticeId::generate(now).into()),
            organization_id: Set(topic.organization.into()),
            account_id: Set(account),
            kind: Set(topic.kind.as_str().to_owned()),
            subject_id: Set(topic.subject),
            told_version: Set(0),
            due_at: Set(now.as_micros()),
            attempts: Set(0),
            next_attempt_at: Set(now.as_micros()),
            claimed_by: Set(None),
            traceparent: Set(trace.clone()),
        });
    insert_many(tx, rows.collect()).await
}

/// Claims at most `limit` mails that are due, for `claimant`. At `lease_ends` they are due
/// again, even if the claimant has ended.
pub async fn claim(
    tx: &Tx,
    claimant: Uuid,
    now: Timestamp,
    lease_ends: Timestamp,
    limit: u64,
) -> Result<Vec<Claimed>> {
    let rows = lease::claim::<notice::Entity>(tx, claimant, now, lease_ends, limit).await?;
    let claimed = rows.into_iter().map(|row| {
        Ok(Claimed {
            id: row.id.into(),
            topic: Topic {
                organization: row.organization_id.into(),
                kind: stored("notices.kind", &row.kind)?,
                subject: row.subject_id,
            },
            recipient: row.account_id.into(),
            told_version: row.told_version,
            attempts: row.attempts,
            trace: row.traceparent.as_deref().and_then(TraceParent::parse),
        })
    });
    claimed.collect()
}

/// Schedules the next attempt of a claimed mail.
pub async fn postpone(tx: &Tx, id: NoticeId, claimant: Uuid, until: Timestamp) -> Result<()> {
    let postponed = notice::Entity::update_many()
        .col_expr(Column::Attempts, Expr::cust("attempts + 1"))
        .col_expr(Column::NextAttemptAt, Expr::value(until.as_micros()))
        .col_expr(Column::ClaimedBy, Expr::value(None::<Uuid>))
        .filter(held::<notice::Entity>(id, claimant));
    update(tx, postponed).await.map(drop)
}

/// Turns a claimed mail into a new one, which is due at `until`. The new mail is about requests
/// that are newer than `told_version`.
pub async fn renew(
    tx: &Tx,
    id: NoticeId,
    claimant: Uuid,
    told_version: i64,
    until: Timestamp,
) -> Result<()> {
    let renewed = notice::Entity::update_many()
        .col_expr(Column::ToldVersion, Expr::value(told_version))
        .col_expr(Column::DueAt, Expr::value(until.as_micros()))
        .col_expr(Column::Attempts, Expr::value(0_i64))
        .col_expr(Column::NextAttemptAt, Expr::value(until.as_micros()))
        .col_expr(Column::ClaimedBy, Expr::value(None::<Uuid>))
        .filter(held::<notice::Entity>(id, claimant));
    update(tx, renewed).await.map(drop)
}

/// Deletes a claimed mail that is sent, given up or no longer needed.
pub async fn finish(tx: &Tx, id: NoticeId, claimant: Uuid) -> Result<()> {
    let finished = notice::Entity::delete_many().filter(held::<notice::Entity>(id, claimant));
    delete(tx, finished).await.map(drop)
}

/// Deletes the mails to an account.
pub async fn delete_of(tx: &Tx, account: AccountId) -> Result<()> {
    let its = Column::AccountId.eq(Uuid::from(account));
    delete(tx, notice::Entity::delete_many().filter(its)).await.map(drop)
}

/// Whether any mail is due.
pub async fn is_any_due(db: &impl Connection, now: Timestamp) -> Result<bool> {
    lease::is_any_due::<notice::Entity>(db, now).await
}

/// How many mails are due or wait for another attempt, and since when the oldest one waits.
pub async fn backlog(db: &Db, now: Timestamp) -> Result<(i64, Option<Timestamp>)> {
    let numbers = notice::Entity::find()
        .select_only()
        .column_as(Expr::cust("COUNT(*)"), "waiting")
        .column_as(Expr::cust("MIN(due_at)"), "oldest")
        .filter(Column::DueAt.lte(now.as_micros()));
    let row = all(&db.for_lists(), &numbers).await?.into_iter().next();
    let Some(mut row) = row else { return Ok((0, None)) };
    let (waiting, oldest): (i64, Option<i64>) = (row.value()?, row.value()?);
    Ok((waiting, oldest.map(Timestamp::from_micros)))
}

impl Leased for notice::Entity {
    const ID: Column = Column::Id;
    const NEXT_ATTEMPT_AT: Column = Column::NextAttemptAt;
    const CLAIMED_BY: Column = Column::ClaimedBy;

    fn due(row: &notice::Model) -> (Uuid, i64) {
        (row.id, row.next_attempt_at)
    }
}
