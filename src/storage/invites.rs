//! Queries on `invites`.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, DbBackend, EntityTrait, ExprTrait, JoinType,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, RelationTrait, UpdateMany, Value,
};
use uuid::Uuid;

use super::connection::{self, Connection, Db, Tx, all, first, insert_many, models, update};
use super::entity::invite::{LIVE_JOIN_LINK, delivery_text, member_end_columns};
use super::entity::organization::join_domains;
use super::entity::{invite, member, organization};
use super::sql::{Named, belongs_to, is_one_of, query, set};
use super::statement::{Row, SIZES, Statement};
use crate::domain::{
    AccountId, Delivery, EmailAddress, EndReason, Ending, Invite, InviteId, InviteKind,
    InviteState, MemberId, Organization, OrganizationId, SecretHash, Timestamp,
};
use crate::error::Result;

/// An invite's token as it is stored.
#[derive(Debug)]
pub struct StoredToken {
    /// The hash that finds the invite.
    pub hash: SecretHash,
    /// The encrypted token, for showing it again.
    pub sealed: Vec<u8>,
}

const LIVE: &str = "state = 'live'";
const LIVE_BUT_JOIN_LINK: &str = "kind <> 'join_link' AND state = 'live'";
const PENDING_EMAIL: &str = "kind = 'email' AND state = 'live'";

/// The invite of a token, in any state, with its organization.
pub async fn find_by_token(
    db: &impl Connection,
    hash: &SecretHash,
) -> Result<Option<(Invite, Organization)>> {
    static FIND: Named = Named::new(|| {
        let select = invite::Entity::find()
            .filter(invite::Column::TokenHash.eq(&[][..]))
            .join(JoinType::InnerJoin, invite::Relation::Organization.def())
            .select_also(organization::Entity);
        query(select)
    });
    first(db, FIND.with(db, [hash.as_bytes().into()])).await?.map(with_organization).transpose()
}

/// The invite with this id.
pub async fn find(
    db: &impl Connection,
    organization: OrganizationId,
    id: InviteId,
) -> Result<Option<Invite>> {
    let row = first(db, by_id(db, organization, id)).await?;
    row.map(|mut row| row.model::<invite::Entity>()?.try_into()).transpose()
}

/// As [`find`], with the sealed token of the invite.
pub async fn find_with_token(
    db: &impl Connection,
    organization: OrganizationId,
    id: InviteId,
) -> Result<Option<(Invite, Vec<u8>)>> {
    let row = first(db, by_id(db, organization, id)).await?;
    row.map(|mut row| with_sealed_token(row.model::<invite::Entity>()?)).transpose()
}

/// As [`find`], and whether the token of the invite has this hash.
pub async fn find_and_compare(
    db: &impl Connection,
    organization: OrganizationId,
    id: InviteId,
    hash: &SecretHash,
) -> Result<Option<(Invite, bool)>> {
    let found = first(db, by_id(db, organization, id)).await?;
    let compared = found.map(|mut row| {
        let row = row.model::<invite::Entity>()?;
        let is_its = row.token_hash == hash.as_bytes();
        Ok((row.try_into()?, is_its))
    });
    compared.transpose()
}

fn by_id(db: &impl Connection, organization: OrganizationId, id: InviteId) -> Statement {
    static FIND: Named = Named::new(|| {
        let its = invite::Column::OrganizationId.eq(Uuid::nil());
        query(invite::Entity::find_by_id(Uuid::nil()).filter(its))
    });
    FIND.with(db, [Uuid::from(id).into(), Uuid::from(organization).into()])
}

/// The email invitation with this id, in any organization. It needs no organization, because the
/// caller's verified address must be the address of the invitation.
pub async fn find_email_invitation(
    db: &impl Connection,
    id: InviteId,
) -> Result<Option<(Invite, Organization)>> {
    let select = invite::Entity::find_by_id(Uuid::from(id))
        .filter(invite::Column::Kind.eq(InviteKind::Email.as_str()))
        .join(JoinType::InnerJoin, invite::Relation::Organization.def())
        .select_also(organization::Entity);
    all(db, &select).await?.into_iter().next().map(with_organization).transpose()
}

/// The pending email invitation of an address, even if its expiry has passed.
pub async fn pending_of_address(
    db: &impl Connection,
    organization: OrganizationId,
    email: &EmailAddress,
) -> Result<Option<Invite>> {
    static FIND: Named = Named::new(|| {
        let select = invite::Entity::find()
            .filter(invite::Column::OrganizationId.eq(Uuid::nil()))
            .filter(invite::Column::Email.eq(""))
            .filter(Expr::cust(PENDING_EMAIL));
        query(select)
    });
    let values = [Uuid::from(organization).into(), email.as_str().into()];
    let row = first(db, FIND.with(db, values)).await?;
    row.map(|mut row| row.model::<invite::Entity>()?.try_into()).transpose()
}

/// As [`pending_of_address`], for many addresses.
pub async fn pending_of_addresses(
    db: &impl Connection,
    organization: OrganizationId,
    addresses: &[&EmailAddress],
) -> Result<Vec<Invite>> {
    let select = invite::Entity::find()
        .filter(belongs_to(invite::Column::OrganizationId, organization))
        .filter(is_one_of(invite::Column::Email, addresses.iter().map(|address| address.as_str())))
        .filter(Expr::cust(PENDING_EMAIL));
    models(db, select).await?.into_iter().map(Invite::try_from).collect()
}

/// The pending email invitations of an address in all organizations, including those whose expiry
/// has passed.
pub async fn pending_everywhere(
    db: &impl Connection,
    email: &EmailAddress,
) -> Result<Vec<(OrganizationId, InviteId)>> {
    use invite::Column;

    let select = invite::Entity::find()
        .select_only()
        .columns([Column::OrganizationId, Column::Id])
        .join(JoinType::InnerJoin, invite::Relation::Organization.def())
        .filter(Column::Email.eq(email.as_str()))
        .filter(Expr::cust(PENDING_EMAIL))
        .order_by_asc(Column::OrganizationId);
    let found = all(db, &select).await?.into_iter();
    found.map(|mut row| Ok((row.value::<Uuid>()?.into(), row.value::<Uuid>()?.into()))).collect()
}

/// The ended email invitations that still contain personal data of an account: those of its
/// memberships and, if `email` is given, those to this address. This reads the whole table: there
/// is no index by membership, because no other query needs one.
pub async fn ended_of_person(
    db: &Db,
    account: AccountId,
    email: Option<&EmailAddress>,
) -> Result<Vec<InviteId>> {
    use invite::Column;

    let of_account = |column| {
        let its = member::Column::AccountId.eq(Uuid::from(account));
        member::Entity::find().select_only().column(column).filter(its).into_query()
    };
    let mut theirs = Condition::any()
        .add(Column::MemberId.in_subquery(of_account(member::Column::Id)))
        .add(Column::Id.in_subquery(of_account(member::Column::InviteId)));
    if let Some(email) = email {
        theirs = theirs.add(Column::Email.eq(email.as_str()));
    }
    let tells = [
        Column::Email,
        Column::DeliveryError,
        Column::Metadata,
        Column::ExternalId,
        Column::Locale,
    ]
    .into_iter()
    .fold(Condition::any(), |any, column| any.add(column.is_not_null()));
    let select = invite::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Kind.eq(InviteKind::Email.as_str()))
        .filter(Column::State.ne(InviteState::Live.as_str()))
        .filter(tells)
        .filter(theirs);
    let found = all(&db.for_lists(), &select).await?.into_iter();
    found.map(|mut row| Ok(row.value::<Uuid>()?.into())).collect()
}

/// Removes personal data from ended email invitations: addresses, errors of mail servers, locales,
/// and the metadata and external ids of integrators.
pub async fn erase_addresses(tx: &Tx, ended: &[InviteId]) -> Result<()> {
    use invite::Column;

    for ids in ended.chunks(SIZES[0]) {
        let nothing = || None::<String>.into();
        let columns = [
            (Column::Email, nothing()),
            (Column::DeliveryError, nothing()),
            (Column::Metadata, nothing()),
            (Column::ExternalId, nothing()),
            (Column::Locale, nothing()),
        ];
        let erased = set(invite::Entity, columns)
            .filter(is_one_of(Column::Id, ids.iter().copied().map(Uuid::from)))
            .filter(Column::State.ne(InviteState::Live.as_str()));
        update(tx, erased).await?;
    }
    Ok(())
}

pub(super) fn with_sealed_token(mut row: invite::Model) -> Result<(Invite, Vec<u8>)> {
    let sealed = std::mem::take(&mut row.token_sealed);
    Ok((row.try_into()?, sealed))
}

fn with_organization(mut row: Row) -> Result<(Invite, Organization)> {
    let invite = row.model::<invite::Entity>()?;
    Ok((invite.try_into()?, row.model::<organization::Entity>()?.try_into()?))
}

/// The organization's join link that has not ended, with its sealed token.
pub async fn join_link(
    db: &impl Connection,
    organization: OrganizationId,
) -> Result<Option<(Invite, Vec<u8>)>> {
    static FIND: Named = Named::new(|| {
        let select = invite::Entity::find()
            .filter(invite::Column::OrganizationId.eq(Uuid::nil()))
            .filter(Expr::cust(LIVE_JOIN_LINK));
        query(select)
    });
    let row = first(db, FIND.with(db, [Uuid::from(organization).into()])).await?;
    row.map(|mut row| with_sealed_token(row.model::<invite::Entity>()?)).transpose()
}

/// Stores a new invite.
pub async fn insert(tx: &Tx, new: &Invite, token: StoredToken) -> Result<()> {
    connection::insert(tx, row(new, token)).await
}

/// Stores many new invites.
pub async fn insert_all(tx: &Tx, new: Vec<(&Invite, StoredToken)>) -> Result<()> {
    let rows = new.into_iter().map(|(new, token)| row(new, token));
    insert_many(tx, rows.collect()).await
}

fn row(new: &Invite, token: StoredToken) -> invite::ActiveModel {
    let content = new.content.as_ref();
    let (member_lifetime, member_expires_at) = member_end_columns(new.member_end);
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
        metadata: Set(new.attributes.metadata.to_json()),
        external_id: Set(new.attributes.external_id.as_ref().map(ToString::to_string)),
        continue_url: Set(new.continue_url.as_ref().map(ToString::to_string)),
        locale: Set(new.locale.as_ref().map(ToString::to_string)),
        requires_approval: Set(new.requires_approval),
        member_lifetime: Set(member_lifetime),
        member_expires_at: Set(member_expires_at),
        reminders: Set(new.reminders.into()),
    }
}

/// Ends the organization's join link with this id, if it has not ended.
pub async fn end_join_link(
    tx: &Tx,
    organization: OrganizationId,
    id: InviteId,
    ending: &Ending,
) -> Result<()> {
    // Both statements have the same meaning, but use different indexes. SQLite has the pages of the
    // join links' index in memory, because the join link was found by it. PostgreSQL may use the
    // index of all invites of the organization if the condition does not compare the id.
    static ON_SQLITE: Named = Named::new(|| {
        let not_other = invite::Column::Id.ne(Uuid::nil()).not();
        query(end_where(not_other.and(Expr::cust(LIVE_JOIN_LINK))))
    });
    static ON_POSTGRES: Named = Named::new(|| {
        let same = invite::Column::Id.eq(Uuid::nil());
        query(end_where(same.and(Expr::cust(LIVE_JOIN_LINK))))
    });
    let end = match tx.backend() {
        DbBackend::Postgres => &ON_POSTGRES,
        _ => &ON_SQLITE,
    };
    let end = end.changing::<invite::Entity, _>(tx, end_values(organization, id.into(), ending));
    Ok(tx.queue(end).await?)
}

/// Ends an invite of an organization, if it has not ended.
pub async fn end(
    tx: &Tx,
    organization: OrganizationId,
    id: InviteId,
    ending: &Ending,
) -> Result<()> {
    Ok(tx.queue(end_one(tx, organization, id, ending)).await?)
}

/// As [`end`]; returns whether this call has ended the invite.
pub async fn end_live(
    tx: &Tx,
    organization: OrganizationId,
    id: InviteId,
    ending: &Ending,
) -> Result<bool> {
    Ok(tx.run(end_one(tx, organization, id, ending)).await?.affected == 1)
}

fn end_one(tx: &Tx, organization: OrganizationId, id: InviteId, ending: &Ending) -> Statement {
    static END: Named =
        Named::new(|| query(end_where(invite::Column::Id.eq(Uuid::nil()).and(Expr::cust(LIVE)))));
    END.changing::<invite::Entity, _>(tx, end_values(organization, id.into(), ending))
}

/// Ends all live invites of a locked organization whose inviter is this member; returns their ids.
pub async fn end_all_of(
    tx: &Tx,
    organization: OrganizationId,
    inviter: MemberId,
    ending: &Ending,
) -> Result<Vec<InviteId>> {
    fn of_inviter(inviter: Uuid, which: &'static str) -> Expr {
        invite::Column::InviterId.eq(inviter).and(Expr::cust(which))
    }

    static END_JOIN_LINK: Named =
        Named::new(|| query(end_where(of_inviter(Uuid::nil(), LIVE_JOIN_LINK))));
    static END_OTHERS: Named =
        Named::new(|| query(end_where(of_inviter(Uuid::nil(), LIVE_BUT_JOIN_LINK))));
    let inviter = Uuid::from(inviter);
    let mut ended = Vec::new();
    for (end, which) in [(&END_JOIN_LINK, LIVE_JOIN_LINK), (&END_OTHERS, LIVE_BUT_JOIN_LINK)] {
        let select = invite::Entity::find()
            .select_only()
            .column(invite::Column::Id)
            .filter(invite::Column::OrganizationId.eq(Uuid::from(organization)))
            .filter(of_inviter(inviter, which));
        let rows = all(tx, &select).await?;
        if !rows.is_empty() {
            let values = end_values(organization, inviter, ending);
            tx.queue(end.changing::<invite::Entity, _>(tx, values)).await?;
        }
        for mut row in rows {
            ended.push(InviteId::from(row.value::<Uuid>()?));
        }
    }
    Ok(ended)
}

/// The live invites of a locked organization whose inviter is one of these members, each with its
/// inviter.
pub async fn live_of(
    tx: &Tx,
    organization: OrganizationId,
    inviters: &[MemberId],
) -> Result<Vec<(InviteId, MemberId)>> {
    use invite::Column;

    let mut found = Vec::new();
    for inviters in inviters.chunks(SIZES[0]) {
        // Each query uses its own index: the first that of organizations, the second that of
        // inviters.
        let its = Column::OrganizationId.eq(Uuid::from(organization));
        let belongs = belongs_to(Column::OrganizationId, organization);
        for (which, belongs) in [(LIVE_JOIN_LINK, its), (LIVE_BUT_JOIN_LINK, belongs)] {
            let select = invite::Entity::find()
                .select_only()
                .columns([Column::Id, Column::InviterId])
                .filter(belongs)
                .filter(is_one_of(Column::InviterId, inviters.iter().copied().map(Uuid::from)))
                .filter(Expr::cust(which));
            for mut row in all(tx, &select).await? {
                found.push((row.value::<Uuid>()?.into(), row.value::<Uuid>()?.into()));
            }
        }
    }
    Ok(found)
}

/// Ends the invites of an organization that match a condition with one value.
fn end_where(which: Expr) -> UpdateMany<invite::Entity> {
    use invite::Column;

    let columns = [
        (Column::State, "".into()),
        (Column::EndedAt, 0_i64.into()),
        (Column::EndedBy, Uuid::nil().into()),
        (Column::EndReason, "".into()),
    ];
    set(invite::Entity, columns).filter(Column::OrganizationId.eq(Uuid::nil())).filter(which)
}

/// The values of [`end_where`]; `key` is the value of its condition.
fn end_values(organization: OrganizationId, key: Uuid, ending: &Ending) -> [Value; 6] {
    [
        ending.reason.state().as_str().into(),
        ending.at.as_micros().into(),
        ending.by.map(Uuid::from).into(),
        ending.reason.as_str().into(),
        Uuid::from(organization).into(),
        key.into(),
    ]
}

/// Uses an invite once; returns false if it is not live. The statement itself checks state, expiry
/// and uses, so that no other change can happen between the check and the use. The last use ends
/// the invite.
pub async fn consume(tx: &Tx, invite: &Invite, now: Timestamp) -> Result<bool> {
    use invite::Column;

    static USE: Named = Named::new(|| {
        let use_once = invite::Entity::update_many()
            .col_expr(Column::Uses, Expr::cust("uses + 1"))
            .filter(Column::Id.eq(Uuid::nil()))
            .filter(Column::OrganizationId.eq(Uuid::nil()))
            .filter(usable(Timestamp::from_micros(0)));
        query(use_once)
    });
    static END_IF_USED_UP: Named = Named::new(|| {
        let used_up = Column::Id.eq(Uuid::nil()).and(Expr::cust("uses = max_uses"));
        query(end_where(used_up.and(Expr::cust(LIVE))))
    });
    let (id, organization) = (Uuid::from(invite.id), Uuid::from(invite.organization));
    let values = [id.into(), organization.into(), now.as_micros().into()];
    if tx.run(USE.changing::<invite::Entity, _>(tx, values)).await?.affected != 1 {
        return Ok(false);
    }
    let reason = match invite.kind {
        InviteKind::Email => EndReason::Accepted,
        _ => EndReason::Exhausted,
    };
    let values = end_values(invite.organization, id, &Ending { at: now, by: None, reason });
    tx.queue(END_IF_USED_UP.changing::<invite::Entity, _>(tx, values)).await?;
    Ok(true)
}

/// The condition of an invite that can be used at `now`: the same as [`Invite::is_live`].
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

/// Updates the fields that `InviteService/Update` can change.
pub async fn update_terms(tx: &Tx, changed: &Invite) -> Result<()> {
    use invite::Column;

    let level = changed.content.as_ref().map(|content| content.level.as_str());
    let (member_lifetime, member_expires_at) = member_end_columns(changed.member_end);
    let updated = invite::Entity::update_many()
        .col_expr(Column::Role, Expr::value(changed.role.as_str()))
        .col_expr(Column::ContentLevel, Expr::value(level))
        .col_expr(Column::ExpiresAt, Expr::value(changed.expires_at.map(Timestamp::as_micros)))
        .col_expr(Column::MaxUses, Expr::value(changed.max_uses))
        .col_expr(Column::MemberLifetime, Expr::value(member_lifetime))
        .col_expr(Column::MemberExpiresAt, Expr::value(member_expires_at))
        .filter(Column::Id.eq(Uuid::from(changed.id)))
        .filter(Column::OrganizationId.eq(Uuid::from(changed.organization)));
    update(tx, updated).await.map(drop)
}

/// Updates an email invitation that is sent again: token, expiry, inviter and version. Its
/// mail is pending again.
pub async fn renew(tx: &Tx, renewed: &Invite, token: StoredToken) -> Result<()> {
    use invite::Column;

    let updated = invite::Entity::update_many()
        .col_expr(Column::TokenHash, Expr::value(token.hash.as_bytes().to_vec()))
        .col_expr(Column::TokenSealed, Expr::value(token.sealed))
        .col_expr(Column::InviterId, Expr::value(Uuid::from(renewed.inviter)))
        .col_expr(Column::Version, Expr::value(renewed.version))
        .col_expr(Column::ExpiresAt, Expr::value(renewed.expires_at.map(Timestamp::as_micros)))
        .col_expr(Column::Delivery, Expr::value(delivery_text(&Delivery::Pending)))
        .col_expr(Column::DeliveryError, Expr::value(None::<String>))
        .col_expr(Column::Reminders, Expr::value(0_i64))
        .filter(Column::Id.eq(Uuid::from(renewed.id)))
        .filter(Column::OrganizationId.eq(Uuid::from(renewed.organization)));
    update(tx, updated).await.map(drop)
}

/// Stores how many reminders of an invitation were sent.
pub async fn set_reminders(tx: &Tx, id: InviteId, reminders: u32) -> Result<()> {
    let updated = invite::Entity::update_many()
        .col_expr(invite::Column::Reminders, Expr::value(i64::from(reminders)))
        .filter(invite::Column::Id.eq(Uuid::from(id)));
    update(tx, updated).await.map(drop)
}

/// Stores the delivery state of an invitation's mail.
pub async fn set_delivery(tx: &Tx, id: InviteId, delivery: &Delivery) -> Result<()> {
    use invite::Column;

    let updated = invite::Entity::update_many()
        .col_expr(Column::Delivery, Expr::value(delivery_text(delivery)))
        .col_expr(Column::DeliveryError, Expr::value(delivery_error(Some(delivery))))
        .filter(Column::Id.eq(Uuid::from(id)));
    update(tx, updated).await.map(drop)
}

/// A live invite whose expiry has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    pub organization: OrganizationId,
    pub id: InviteId,
    pub expires_at: Timestamp,
}

/// At most `limit` live invites whose expiry has passed, in the order of expiry and id,
/// after `after`.
pub async fn expired(
    db: &impl Connection,
    now: Timestamp,
    after: Option<Expired>,
    limit: u64,
) -> Result<Vec<Expired>> {
    use invite::Column;

    let mut select = invite::Entity::find()
        .select_only()
        .columns([Column::OrganizationId, Column::Id, Column::ExpiresAt])
        // Invites of a deleted organization are deleted, not ended.
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
    let rows = all(db, &select).await?.into_iter();
    let expired = rows.map(|mut row| {
        Ok(Expired {
            organization: row.value::<Uuid>()?.into(),
            id: row.value::<Uuid>()?.into(),
            expires_at: Timestamp::from_micros(row.value()?),
        })
    });
    expired.collect()
}

fn delivery_error(delivery: Option<&Delivery>) -> Option<String> {
    match delivery {
        Some(Delivery::Failed(why)) => Some(why.clone()),
        _ => None,
    }
}
