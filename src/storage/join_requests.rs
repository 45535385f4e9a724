//! Queries on `join_requests`.

use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};
use uuid::Uuid;

use super::connection::{self, Connection, Db, Tx, all, first, models};
use super::entity::join_request::{self as entity, Column};
use super::sql::{Named, query};
use crate::domain::{
    AccountId, JoinRequest, JoinRequestId, JoinRequestState, OrganizationId, Timestamp,
};
use crate::error::Result;

/// The predicate of the partial index; a literal, so that the index is used.
const PENDING: &str = "state = 'pending'";

fn one(organization: OrganizationId, id: JoinRequestId) -> Condition {
    Condition::all()
        .add(Column::OrganizationId.eq(Uuid::from(organization)))
        .add(Column::Id.eq(Uuid::from(id)))
}

/// Stores a new request, which is pending.
pub async fn insert(tx: &Tx, new: &JoinRequest) -> Result<()> {
    let row = entity::ActiveModel {
        id: Set(new.id.into()),
        organization_id: Set(new.organization.into()),
        account_id: Set(new.account.into()),
        state: Set(new.state.as_str().to_owned()),
        invite_id: Set(new.invite.map(Into::into)),
        version: Set(new.version),
        created_at: Set(new.created_at.as_micros()),
        decided_at: Set(None),
        decided_by: Set(None),
        reason: Set(String::new()),
        ask_again_at: Set(None),
        member_id: Set(None),
    };
    connection::insert(tx, row).await
}

/// The request with this id.
pub async fn find(
    db: &impl Connection,
    organization: OrganizationId,
    id: JoinRequestId,
) -> Result<Option<JoinRequest>> {
    let rows = models(db, entity::Entity::find().filter(one(organization, id))).await?;
    rows.into_iter().next().map(TryInto::try_into).transpose()
}

/// The pending request of an account.
pub async fn pending(
    db: &impl Connection,
    organization: OrganizationId,
    account: AccountId,
) -> Result<Option<JoinRequest>> {
    static FIND: Named = Named::new(|| {
        let select = entity::Entity::find()
            .filter(Column::AccountId.eq(Uuid::nil()))
            .filter(Column::OrganizationId.eq(Uuid::nil()))
            .filter(Expr::cust(PENDING));
        query(select)
    });
    let values = [Uuid::from(account).into(), Uuid::from(organization).into()];
    let row = first(db, FIND.with(db, values)).await?;
    row.map(|mut row| row.model::<entity::Entity>()?.try_into()).transpose()
}

/// The id of the pending request of an account and an organization, as a part of another query.
pub(super) fn id_of_pending() -> SelectStatement {
    let pending = entity::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::AccountId.eq(Uuid::nil()))
        .filter(Column::OrganizationId.eq(Uuid::nil()))
        .filter(Expr::cust(PENDING));
    pending.into_query()
}

/// The pending requests of an account in all organizations.
pub async fn pending_everywhere(
    db: &impl Connection,
    account: AccountId,
) -> Result<Vec<JoinRequest>> {
    let all = entity::Entity::find()
        .filter(Column::AccountId.eq(Uuid::from(account)))
        .filter(Expr::cust(PENDING));
    models(db, all).await?.into_iter().map(TryInto::try_into).collect()
}

/// How many requests of an organization are pending, and the organization's version when the newest
/// of them was made.
pub async fn waiting(db: &impl Connection, organization: OrganizationId) -> Result<(i64, i64)> {
    let numbers = entity::Entity::find()
        .select_only()
        .column_as(Expr::cust("COUNT(*)"), "pending")
        .column_as(Expr::cust("COALESCE(MAX(version), 0)"), "newest")
        .filter(Column::OrganizationId.eq(Uuid::from(organization)))
        .filter(Column::State.eq(JoinRequestState::Pending.as_str()));
    let row = all(db, &numbers).await?.into_iter().next();
    let Some(mut row) = row else { return Ok((0, 0)) };
    Ok((row.value()?, row.value()?))
}

/// When an account may request to join again, if a denial forbids it at `now`.
pub async fn paused_until(
    db: &impl Connection,
    organization: OrganizationId,
    account: AccountId,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    let last = entity::Entity::find()
        .filter(Column::AccountId.eq(Uuid::from(account)))
        .filter(Column::OrganizationId.eq(Uuid::from(organization)))
        .filter(Column::AskAgainAt.gt(now.as_micros()))
        .order_by_desc(Column::AskAgainAt)
        .limit(1);
    let row = models(db, last).await?.into_iter().next();
    Ok(row.and_then(|row| row.ask_again_at).map(Timestamp::from_micros))
}

/// At most `limit` requests of an organization in this state after `after`, oldest first.
pub async fn page(
    db: &Db,
    organization: OrganizationId,
    state: JoinRequestState,
    after: Option<JoinRequestId>,
    limit: u64,
) -> Result<Vec<JoinRequest>> {
    let mut select = entity::Entity::find()
        .filter(Column::OrganizationId.eq(Uuid::from(organization)))
        .filter(Column::State.eq(state.as_str()))
        .order_by_asc(Column::Id)
        .limit(limit);
    if let Some(after) = after {
        select = select.filter(Column::Id.gt(Uuid::from(after)));
    }
    models(&db.for_lists(), select).await?.into_iter().map(TryInto::try_into).collect()
}

/// Stores the end of a request of a locked organization.
pub async fn decide(tx: &Tx, decided: &JoinRequest) -> Result<()> {
    let decision = decided.decision.as_ref();
    let by = decision.and_then(|decision| decision.by).map(Uuid::from);
    let reason = decision.map(|decision| decision.reason.as_str()).unwrap_or_default();
    let again = decision.and_then(|decision| decision.ask_again_at).map(Timestamp::as_micros);
    let changes = entity::Entity::update_many()
        .col_expr(Column::State, Expr::value(decided.state.as_str()))
        .col_expr(Column::DecidedAt, Expr::value(decision.map(|decision| decision.at.as_micros())))
        .col_expr(Column::DecidedBy, Expr::value(by))
        .col_expr(Column::Reason, Expr::value(reason))
        .col_expr(Column::AskAgainAt, Expr::value(again))
        .col_expr(Column::MemberId, Expr::value(decided.member.map(Uuid::from)))
        .filter(one(decided.organization, decided.id));
    connection::update(tx, changes).await.map(drop)
}

/// Removes the reasons that admins have written for their decisions on an account's requests.
pub async fn erase_reasons(tx: &Tx, account: AccountId) -> Result<()> {
    let changes = entity::Entity::update_many()
        .col_expr(Column::Reason, Expr::value(""))
        .filter(Column::AccountId.eq(Uuid::from(account)));
    connection::update(tx, changes).await.map(drop)
}
