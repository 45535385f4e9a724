//! Queries on `invites`.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter,
};
use uuid::Uuid;

use super::Tx;
use super::entity::{invite, organization};
use super::error::OrError;
use super::query::unique;
use crate::domain::{
    EndReason, Invite, InviteId, InviteState, MemberId, Organization, OrganizationId, SecretHash,
    Timestamp,
};
use crate::error::{Error, Result};

/// An invite's token as the store keeps it.
#[derive(Debug)]
pub struct StoredToken {
    /// What it is looked up by.
    pub hash: SecretHash,
    /// What it is shown again from.
    pub sealed: Vec<u8>,
}

/// The live join link's predicate, as its index has it: a bound value would not
/// find a partial index.
const LIVE_JOIN_LINK: &str = "kind = 'join_link' AND state = 'live'";
const LIVE: &str = "state = 'live'";

/// The invite a token belongs to, in whatever state, and where it leads.
pub async fn find_by_token(
    db: &impl ConnectionTrait,
    hash: &SecretHash,
) -> Result<Option<(Invite, Organization)>> {
    let rows = invite::Entity::find()
        .filter(invite::Column::TokenHash.eq(hash.as_bytes()))
        .find_also_related(organization::Entity)
        .all(db)
        .await
        .or_error()?;
    let Some((invite, organization)) = rows.into_iter().next() else {
        return Ok(None);
    };
    let organization =
        organization.ok_or_else(|| Error::internal("an invite without its organization"))?;
    Ok(Some((invite.try_into()?, organization.try_into()?)))
}

/// The invite with this id.
pub async fn find(
    db: &impl ConnectionTrait,
    organization: OrganizationId,
    id: InviteId,
) -> Result<Option<Invite>> {
    let select = invite::Entity::find_by_id(Uuid::from(id))
        .filter(invite::Column::OrganizationId.eq(Uuid::from(organization)));
    unique(select, db).await?.map(Invite::try_from).transpose()
}

/// The organization's join link that has not ended, with its sealed token.
pub async fn join_link(
    db: &impl ConnectionTrait,
    organization: OrganizationId,
) -> Result<Option<(Invite, Vec<u8>)>> {
    let select = invite::Entity::find()
        .filter(invite::Column::OrganizationId.eq(Uuid::from(organization)))
        .filter(Expr::cust(LIVE_JOIN_LINK));
    let Some(mut row) = unique(select, db).await? else {
        return Ok(None);
    };
    let sealed = std::mem::take(&mut row.token_sealed);
    Ok(Some((row.try_into()?, sealed)))
}

/// Stores a new invite.
pub async fn insert(tx: &Tx, new: &Invite, token: StoredToken) -> Result<()> {
    invite::Entity::insert(invite::ActiveModel {
        id: Set(new.id.into()),
        organization_id: Set(new.organization.into()),
        kind: Set(new.kind.as_str().to_owned()),
        role: Set(new.role.as_str().to_owned()),
        token_hash: Set(token.hash.as_bytes().to_vec()),
        token_sealed: Set(token.sealed),
        inviter_id: Set(new.inviter.into()),
        state: Set(new.state.as_str().to_owned()),
        version: Set(new.version),
        expires_at: Set(new.expires_at.map(Timestamp::as_micros)),
        max_uses: Set(new.max_uses),
        uses: Set(new.uses),
        created_at: Set(new.created_at.as_micros()),
        ended_at: Set(None),
        ended_by: Set(None),
        end_reason: Set(None),
    })
    .exec_without_returning(tx)
    .await
    .or_error()?;
    Ok(())
}

/// Ends one invite of an organization; answers whether it had not ended before.
pub async fn end(
    tx: &Tx,
    organization: OrganizationId,
    id: InviteId,
    ending: &Ending,
) -> Result<bool> {
    let only = Condition::all().add(invite::Column::Id.eq(Uuid::from(id)));
    Ok(end_where(tx, organization, only, ending).await? == 1)
}

/// Ends every live invite that rests on a member's authority; answers how many.
pub async fn end_all_of(
    tx: &Tx,
    organization: OrganizationId,
    inviter: MemberId,
    ending: &Ending,
) -> Result<u64> {
    let theirs = Condition::all().add(invite::Column::InviterId.eq(Uuid::from(inviter)));
    end_where(tx, organization, theirs, ending).await
}

/// When, by whom and why an invite ends.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    /// When.
    pub at: Timestamp,
    /// The member whose act ended it; none for time and use.
    pub by: Option<MemberId>,
    /// Why.
    pub reason: EndReason,
}

async fn end_where(
    tx: &Tx,
    organization: OrganizationId,
    which: Condition,
    ending: &Ending,
) -> Result<u64> {
    use invite::Column;

    let done = invite::Entity::update_many()
        .col_expr(Column::State, Expr::value(ending.reason.state().as_str()))
        .col_expr(Column::EndedAt, Expr::value(ending.at.as_micros()))
        .col_expr(Column::EndedBy, Expr::value(ending.by.map(Uuid::from)))
        .col_expr(Column::EndReason, Expr::value(ending.reason.as_str()))
        .filter(Column::OrganizationId.eq(Uuid::from(organization)))
        .filter(which)
        .filter(Expr::cust(LIVE))
        .exec(tx)
        .await
        .or_error()?;
    Ok(done.rows_affected)
}

/// Spends one use. State, expiry and uses are checked by this very statement, so
/// that nothing can come between; answers whether there was one to spend. The
/// last use ends the invite.
pub async fn consume(
    tx: &Tx,
    organization: OrganizationId,
    id: InviteId,
    now: Timestamp,
) -> Result<bool> {
    use invite::Column;

    let now = now.as_micros();
    let done = invite::Entity::update_many()
        .col_expr(Column::Uses, Expr::cust("uses + 1"))
        .filter(Column::Id.eq(Uuid::from(id)))
        .filter(Column::OrganizationId.eq(Uuid::from(organization)))
        .filter(Expr::cust(LIVE))
        .filter(Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now)))
        .filter(Expr::cust("(max_uses IS NULL OR uses < max_uses)"))
        .exec(tx)
        .await
        .or_error()?;
    if done.rows_affected != 1 {
        return Ok(false);
    }
    invite::Entity::update_many()
        .col_expr(Column::State, Expr::value(InviteState::Exhausted.as_str()))
        .col_expr(Column::EndedAt, Expr::value(now))
        .col_expr(Column::EndReason, Expr::value(EndReason::Exhausted.as_str()))
        .filter(Column::Id.eq(Uuid::from(id)))
        .filter(Expr::cust("uses = max_uses"))
        .exec(tx)
        .await
        .or_error()?;
    Ok(true)
}
