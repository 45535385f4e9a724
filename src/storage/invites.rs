//! Queries on `invites`.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, ExprTrait,
    FromQueryResult, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationTrait, Statement,
    Value,
};
use uuid::Uuid;

use super::Tx;
use super::entity::invite::{LIVE_JOIN_LINK, delivery_text};
use super::entity::organization::join_domains;
use super::entity::{invite, organization};
use super::error::OrError;
use super::query::{insert_many, is_one_of};
use super::text::{InsertText, Text, one, one_of_two};
use crate::domain::{
    Delivery, EmailAddress, EndReason, Ending, Invite, InviteId, InviteKind, MemberId,
    Organization, OrganizationId, SecretHash, Timestamp,
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

const LIVE: &str = "state = 'live'";
const LIVE_BUT_JOIN_LINK: &str = "kind <> 'join_link' AND state = 'live'";
const PENDING_EMAIL: &str = "kind = 'email' AND state = 'live'";

/// The invite a token belongs to, in whatever state, and where it leads.
pub async fn find_by_token(
    db: &impl ConnectionTrait,
    hash: &SecretHash,
) -> Result<Option<(Invite, Organization)>> {
    static TEXT: Text = Text::new();
    let found = TEXT.statement(db, [hash.as_bytes().into()], || {
        invite::Entity::find()
            .filter(invite::Column::TokenHash.eq(hash.as_bytes()))
            .join(JoinType::InnerJoin, invite::Relation::Organization.def())
            .select_also(organization::Entity)
    });
    one_of_two(db, found).await?.map(with_organization).transpose()
}

/// The invite with this id.
pub async fn find(
    db: &impl ConnectionTrait,
    organization: OrganizationId,
    id: InviteId,
) -> Result<Option<Invite>> {
    one::<invite::Model>(db, by_id(db, organization, id)).await?.map(Invite::try_from).transpose()
}

/// The same, with its sealed token.
pub async fn find_with_token(
    db: &impl ConnectionTrait,
    organization: OrganizationId,
    id: InviteId,
) -> Result<Option<(Invite, Vec<u8>)>> {
    one(db, by_id(db, organization, id)).await?.map(with_sealed_token).transpose()
}

/// The same, and whether it is this hash's token that it has.
pub async fn find_and_compare(
    db: &impl ConnectionTrait,
    organization: OrganizationId,
    id: InviteId,
    hash: &SecretHash,
) -> Result<Option<(Invite, bool)>> {
    let found = one::<invite::Model>(db, by_id(db, organization, id)).await?;
    let compared = found.map(|row| {
        let is_its = row.token_hash == hash.as_bytes();
        Ok((row.try_into()?, is_its))
    });
    compared.transpose()
}

fn by_id(db: &impl ConnectionTrait, organization: OrganizationId, id: InviteId) -> Statement {
    static TEXT: Text = Text::new();
    let (id, organization) = (Uuid::from(id), Uuid::from(organization));
    TEXT.statement(db, [id.into(), organization.into()], || {
        invite::Entity::find_by_id(id).filter(invite::Column::OrganizationId.eq(organization))
    })
}

/// The email invitation with this id, in whatever organization: the one way in by
/// the id of a row, since the verified address is the authority there.
pub async fn find_email_invitation(
    db: &impl ConnectionTrait,
    id: InviteId,
) -> Result<Option<(Invite, Organization)>> {
    let rows = invite::Entity::find_by_id(Uuid::from(id))
        .filter(invite::Column::Kind.eq(InviteKind::Email.as_str()))
        .join(JoinType::InnerJoin, invite::Relation::Organization.def())
        .select_also(organization::Entity)
        .all(db)
        .await
        .or_error()?;
    rows.into_iter().next().map(with_organization).transpose()
}

/// The pending email invitation of an address, expired or not.
pub async fn pending_of_address(
    db: &impl ConnectionTrait,
    organization: OrganizationId,
    email: &EmailAddress,
) -> Result<Option<Invite>> {
    static TEXT: Text = Text::new();
    let organization = Uuid::from(organization);
    let found = TEXT.statement(db, [organization.into(), email.as_str().into()], || {
        invite::Entity::find()
            .filter(invite::Column::OrganizationId.eq(organization))
            .filter(invite::Column::Email.eq(email.as_str()))
            .filter(Expr::cust(PENDING_EMAIL))
    });
    one::<invite::Model>(db, found).await?.map(Invite::try_from).transpose()
}

/// Those of many addresses.
pub async fn pending_of_addresses(
    db: &impl ConnectionTrait,
    organization: OrganizationId,
    addresses: &[&EmailAddress],
) -> Result<Vec<Invite>> {
    let rows = invite::Entity::find()
        .filter(invite::Column::OrganizationId.eq(Uuid::from(organization)))
        .filter(is_one_of(invite::Column::Email, addresses.iter().map(|address| address.as_str())))
        .filter(Expr::cust(PENDING_EMAIL))
        .all(db)
        .await
        .or_error()?;
    rows.into_iter().map(Invite::try_from).collect()
}

pub(super) fn with_sealed_token(mut row: invite::Model) -> Result<(Invite, Vec<u8>)> {
    let sealed = std::mem::take(&mut row.token_sealed);
    Ok((row.try_into()?, sealed))
}

fn with_organization(
    (invite, organization): (invite::Model, Option<organization::Model>),
) -> Result<(Invite, Organization)> {
    let organization =
        organization.ok_or_else(|| Error::internal("an invite without its organization"))?;
    Ok((invite.try_into()?, organization.try_into()?))
}

/// The organization's join link that has not ended, with its sealed token.
pub async fn join_link(
    db: &impl ConnectionTrait,
    organization: OrganizationId,
) -> Result<Option<(Invite, Vec<u8>)>> {
    static TEXT: Text = Text::new();
    let organization = Uuid::from(organization);
    let found = TEXT.statement(db, [organization.into()], || {
        invite::Entity::find()
            .filter(invite::Column::OrganizationId.eq(organization))
            .filter(Expr::cust(LIVE_JOIN_LINK))
    });
    one(db, found).await?.map(with_sealed_token).transpose()
}

/// Stores a new invite.
pub async fn insert(tx: &Tx, new: &Invite, token: StoredToken) -> Result<()> {
    static TEXT: InsertText = InsertText::new();
    TEXT.insert(tx, row(new, token)).await
}

/// Stores many new invites.
pub async fn insert_all(tx: &Tx, new: Vec<(&Invite, StoredToken)>) -> Result<()> {
    let rows = new.into_iter().map(|(new, token)| row(new, token));
    insert_many(tx, rows.collect()).await
}

fn row(new: &Invite, token: StoredToken) -> invite::ActiveModel {
    let content = new.content.as_ref();
    invite::ActiveModel {
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
        ended_at: Set(new.ending.map(|ending| ending.at.as_micros())),
        ended_by: Set(new.ending.and_then(|ending| ending.by).map(Into::into)),
        end_reason: Set(new.ending.map(|ending| ending.reason.as_str().to_owned())),
        email: Set(new.email.as_ref().map(ToString::to_string)),
        note: Set(new.note.clone()),
        allowed_domains: Set(join_domains(&new.allowed_domains)),
        sso: Set(new.sso),
        content_kind: Set(content.map(|content| content.kind.as_str().to_owned())),
        content_id: Set(content.map(|content| content.id.as_str().to_owned())),
        content_level: Set(content.map(|content| content.level.as_str().to_owned())),
        member_id: Set(new.member.map(Into::into)),
        delivery: Set(new.delivery.as_ref().map(|delivery| delivery_text(delivery).to_owned())),
        delivery_error: Set(delivery_error(new.delivery.as_ref())),
    }
}

/// Ends the organization's join link with this id, if it has not ended.
pub async fn end_join_link(
    tx: &Tx,
    organization: OrganizationId,
    id: InviteId,
    ending: &Ending,
) -> Result<()> {
    static TEXT: Text = Text::new();
    let id = Uuid::from(id);
    // The same to say, but another index: SQLite has the pages of the join link's in
    // hand, since it was found by it; PostgreSQL may take that of all the
    // organization's invites instead, unless there is an id to go by.
    let same = match tx.get_database_backend() {
        DbBackend::Postgres => invite::Column::Id.eq(id),
        _ => invite::Column::Id.ne(id).not(),
    };
    let link = same.and(Expr::cust(LIVE_JOIN_LINK));
    let end = end_where(tx, &TEXT, organization, [id.into()], link, ending);
    tx.write_later::<invite::Entity>(end).await
}

/// Ends one invite of an organization, if it has not ended.
pub async fn end(
    tx: &Tx,
    organization: OrganizationId,
    id: InviteId,
    ending: &Ending,
) -> Result<()> {
    tx.write_later::<invite::Entity>(end_one(tx, organization, id, ending)).await
}

/// The same; answers whether it had not ended before.
pub async fn end_live(
    tx: &Tx,
    organization: OrganizationId,
    id: InviteId,
    ending: &Ending,
) -> Result<bool> {
    let ended = tx.execute_raw(end_one(tx, organization, id, ending)).await.or_error()?;
    Ok(ended.rows_affected() == 1)
}

fn end_one(tx: &Tx, organization: OrganizationId, id: InviteId, ending: &Ending) -> Statement {
    static TEXT: Text = Text::new();
    let id = Uuid::from(id);
    let only = invite::Column::Id.eq(id).and(Expr::cust(LIVE));
    end_where(tx, &TEXT, organization, [id.into()], only, ending)
}

/// Ends every live invite of a locked organization that rests on a member's authority;
/// returns which.
pub async fn end_all_of(
    tx: &Tx,
    organization: OrganizationId,
    inviter: MemberId,
    ending: &Ending,
) -> Result<Vec<InviteId>> {
    static JOIN_LINK: Text = Text::new();
    static OTHERS: Text = Text::new();
    let inviter = Uuid::from(inviter);
    let mut ended = Vec::new();
    for (text, which) in [(&JOIN_LINK, LIVE_JOIN_LINK), (&OTHERS, LIVE_BUT_JOIN_LINK)] {
        let theirs = invite::Column::InviterId.eq(inviter).and(Expr::cust(which));
        let ids: Vec<Uuid> = invite::Entity::find()
            .select_only()
            .column(invite::Column::Id)
            .filter(invite::Column::OrganizationId.eq(Uuid::from(organization)))
            .filter(theirs.clone())
            .into_tuple()
            .all(tx)
            .await
            .or_error()?;
        if !ids.is_empty() {
            let end = end_where(tx, text, organization, [inviter.into()], theirs, ending);
            tx.write_later::<invite::Entity>(end).await?;
        }
        ended.extend(ids.into_iter().map(InviteId::from));
    }
    Ok(ended)
}

/// Ends those of an organization's invites that `which` says, by `key`.
fn end_where(
    tx: &Tx,
    text: &Text,
    organization: OrganizationId,
    [key]: [Value; 1],
    which: Expr,
    ending: &Ending,
) -> Statement {
    use invite::Column;

    let organization = Uuid::from(organization);
    let set: [(Column, Value); 4] = [
        (Column::State, ending.reason.state().as_str().into()),
        (Column::EndedAt, ending.at.as_micros().into()),
        (Column::EndedBy, ending.by.map(Uuid::from).into()),
        (Column::EndReason, ending.reason.as_str().into()),
    ];
    text.update(tx, invite::Entity, set, [organization.into(), key], |rows| {
        rows.filter(Column::OrganizationId.eq(organization)).filter(which)
    })
}

/// Spends one use. State, expiry and uses are checked by this very statement, so
/// that nothing can come between; answers whether there was one to spend. The
/// last use ends the invite.
pub async fn consume(tx: &Tx, invite: &Invite, now: Timestamp) -> Result<bool> {
    use invite::Column;

    static TEXT: Text = Text::new();
    static SPENT: Text = Text::new();
    let (id, organization) = (Uuid::from(invite.id), Uuid::from(invite.organization));
    let key = [id.into(), organization.into(), now.as_micros().into()];
    let one_more = TEXT.statement(tx, key, || {
        invite::Entity::update_many()
            .col_expr(Column::Uses, Expr::cust("uses + 1"))
            .filter(Column::Id.eq(id))
            .filter(Column::OrganizationId.eq(organization))
            .filter(usable(now))
    });
    if tx.execute_raw(one_more).await.or_error()?.rows_affected() != 1 {
        return Ok(false);
    }
    let reason = match invite.kind {
        InviteKind::Email => EndReason::Accepted,
        _ => EndReason::Exhausted,
    };
    let spent = Column::Id.eq(id).and(Expr::cust("uses = max_uses")).and(Expr::cust(LIVE));
    let ending = Ending { at: now, by: None, reason };
    let end = end_where(tx, &SPENT, invite.organization, [id.into()], spent, &ending);
    tx.write_later::<invite::Entity>(end).await?;
    Ok(true)
}

/// What lets somebody in at `now`: as [`Invite::is_live`].
pub(super) fn usable(now: Timestamp) -> Condition {
    use invite::Column;

    let lasts = Condition::any()
        .add(Column::ExpiresAt.is_null())
        .add(Column::ExpiresAt.gt(now.as_micros()));
    Condition::all()
        .add(Expr::cust(LIVE))
        .add(lasts)
        .add(Expr::cust("(max_uses IS NULL OR uses < max_uses)"))
}

/// What `Update` can change.
pub async fn update_terms(tx: &Tx, changed: &Invite) -> Result<()> {
    use invite::Column;

    let level = changed.content.as_ref().map(|content| content.level.as_str());
    invite::Entity::update_many()
        .col_expr(Column::Role, Expr::value(changed.role.as_str()))
        .col_expr(Column::ContentLevel, Expr::value(level))
        .col_expr(Column::ExpiresAt, Expr::value(changed.expires_at.map(Timestamp::as_micros)))
        .col_expr(Column::MaxUses, Expr::value(changed.max_uses))
        .filter(Column::Id.eq(Uuid::from(changed.id)))
        .filter(Column::OrganizationId.eq(Uuid::from(changed.organization)))
        .exec(tx)
        .await
        .or_error()?;
    Ok(())
}

/// Gives an email invitation a new token, time, inviter and place in the order of
/// changes; its mail waits again.
pub async fn renew(tx: &Tx, renewed: &Invite, token: StoredToken) -> Result<()> {
    use invite::Column;

    invite::Entity::update_many()
        .col_expr(Column::TokenHash, Expr::value(token.hash.as_bytes().to_vec()))
        .col_expr(Column::TokenSealed, Expr::value(token.sealed))
        .col_expr(Column::InviterId, Expr::value(Uuid::from(renewed.inviter)))
        .col_expr(Column::Version, Expr::value(renewed.version))
        .col_expr(Column::ExpiresAt, Expr::value(renewed.expires_at.map(Timestamp::as_micros)))
        .col_expr(Column::Delivery, Expr::value(delivery_text(&Delivery::Pending)))
        .col_expr(Column::DeliveryError, Expr::value(None::<String>))
        .filter(Column::Id.eq(Uuid::from(renewed.id)))
        .filter(Column::OrganizationId.eq(Uuid::from(renewed.organization)))
        .exec(tx)
        .await
        .or_error()?;
    Ok(())
}

/// Writes down what became of an invitation's mail.
pub async fn set_delivery(tx: &Tx, id: InviteId, delivery: &Delivery) -> Result<()> {
    use invite::Column;

    invite::Entity::update_many()
        .col_expr(Column::Delivery, Expr::value(delivery_text(delivery)))
        .col_expr(Column::DeliveryError, Expr::value(delivery_error(Some(delivery))))
        .filter(Column::Id.eq(Uuid::from(id)))
        .exec(tx)
        .await
        .or_error()?;
    Ok(())
}

/// A live invite whose time has run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// Its organization.
    pub organization: OrganizationId,
    /// Its id.
    pub id: InviteId,
    /// When its time ran out.
    pub expires_at: Timestamp,
}

/// At most `limit` live invites whose time has run out, in the order of their expiry and
/// id, beyond `after`.
pub async fn expired(
    db: &impl ConnectionTrait,
    now: Timestamp,
    after: Option<Expired>,
    limit: u64,
) -> Result<Vec<Expired>> {
    use invite::Column;

    #[derive(FromQueryResult)]
    struct Row {
        organization_id: Uuid,
        id: Uuid,
        expires_at: i64,
    }

    let mut select = invite::Entity::find()
        .select_only()
        .columns([Column::OrganizationId, Column::Id, Column::ExpiresAt])
        // Those of a deleted organization are removed, not ended.
        .join(JoinType::InnerJoin, invite::Relation::Organization.def())
        .filter(Expr::cust(LIVE))
        .filter(Column::ExpiresAt.lte(now.as_micros()))
        .order_by_asc(Column::ExpiresAt)
        .order_by_asc(Column::Id)
        .limit(limit);
    if let Some(Expired { id, expires_at, .. }) = after {
        let beyond = Condition::any()
            .add(Column::ExpiresAt.gt(expires_at.as_micros()))
            .add(Column::Id.gt(Uuid::from(id)));
        select = select.filter(Column::ExpiresAt.gte(expires_at.as_micros())).filter(beyond);
    }
    let rows = select.into_model::<Row>().all(db).await.or_error()?;
    let expired = rows.into_iter().map(|row| Expired {
        organization: row.organization_id.into(),
        id: row.id.into(),
        expires_at: Timestamp::from_micros(row.expires_at),
    });
    Ok(expired.collect())
}

fn delivery_error(delivery: Option<&Delivery>) -> Option<String> {
    match delivery {
        Some(Delivery::Failed(why)) => Some(why.clone()),
        _ => None,
    }
}
