//! Queries on `accounts`.

use std::collections::{HashMap, HashSet};

use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, JoinType, QueryFilter, QuerySelect,
    RelationTrait,
};
use uuid::Uuid;

use super::connection::{self, Connection, Tx, all, first, insert_many, models, update};
use super::entity::{account, member, stored};
use super::join_requests;
use super::members::{self, lasts_beyond};
use super::sql::{Named, is_one_of, query, set};
use super::statement::SIZES;
use crate::domain::{
    Account, AccountId, ERASED_ISSUER, EmailAddress, JoinRequestId, LoginProviderKind,
    MemberStatus, OrganizationId, Profile, Timestamp,
};
use crate::error::Result;

/// The account with this id.
pub async fn find(db: &impl Connection, id: AccountId) -> Result<Option<Account>> {
    let rows = models(db, account::Entity::find_by_id(Uuid::from(id))).await?;
    rows.into_iter().next().map(Account::try_from).transpose()
}

/// The account with this id; `None` if it does not exist or was erased. Its profile is locked until
/// the transaction ends: a change of the name waits, and then also updates the memberships that
/// this transaction creates. (SQLite has one writer, and ignores the lock.)
pub async fn lock_profile(tx: &Tx, id: AccountId) -> Result<Option<Account>> {
    static LOCK: Named =
        Named::new(|| query(account::Entity::find_by_id(Uuid::nil()).lock_shared()));
    let row = first(tx, LOCK.with(tx, [Uuid::from(id).into()])).await?;
    let found =
        row.map(|mut row| Account::try_from(row.model::<account::Entity>()?)).transpose()?;
    Ok(found.filter(|account| !account.is_erased()))
}

/// An account that may join an organization, with its last removal and its pending request there.
#[derive(Debug)]
pub struct Joiner {
    pub account: Account,
    /// The version of the organization at which an admin last removed the account.
    pub removed_at: Option<i64>,
    /// Its pending request to join.
    pub request: Option<JoinRequestId>,
}

/// As [`lock_profile`], with the account's last removal and pending request in the organization.
pub async fn lock_joiner(
    tx: &Tx,
    id: AccountId,
    organization: OrganizationId,
) -> Result<Option<Joiner>> {
    static LOCK: Named = Named::new(|| {
        let part = |select: SelectStatement| Expr::SubQuery(None, Box::new(select.into()));
        let select = account::Entity::find_by_id(Uuid::nil())
            .column_as(part(members::version_of_last_removal()), "removed_at")
            .column_as(part(join_requests::id_of_pending()), "request")
            .lock_shared();
        query(select)
    });
    let (account, organization) = (Uuid::from(id), Uuid::from(organization));
    let values = [
        organization.into(),
        account.into(),
        1_u64.into(),
        account.into(),
        organization.into(),
        account.into(),
    ];
    let Some(mut row) = first(tx, LOCK.with(tx, values)).await? else { return Ok(None) };
    let account = Account::try_from(row.model::<account::Entity>()?)?;
    let removed_at = row.value()?;
    let request = row.value::<Option<Uuid>>()?.map(Into::into);
    Ok(Some(Joiner { account, removed_at, request }).filter(|it| !it.account.is_erased()))
}

/// The accounts with these ids, including erased ones. Their profiles are locked until the
/// transaction ends.
pub async fn lock_profiles(tx: &Tx, ids: &[AccountId]) -> Result<HashMap<AccountId, Account>> {
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(SIZES[0]) {
        let some = account::Entity::find()
            .filter(is_one_of(account::Column::Id, ids.iter().copied().map(Uuid::from)))
            .lock_shared();
        for row in models(tx, some).await? {
            found.insert(row.id.into(), row.try_into()?);
        }
    }
    Ok(found)
}

/// The account with this id, locked until the transaction ends: no other transaction creates a
/// membership or a key for it.
pub async fn lock(tx: &Tx, id: AccountId) -> Result<Option<Account>> {
    let rows = models(tx, account::Entity::find_by_id(Uuid::from(id)).lock_exclusive()).await?;
    rows.into_iter().next().map(Account::try_from).transpose()
}

/// The other accounts with this address.
pub async fn others_with_address(
    db: &impl Connection,
    email: &EmailAddress,
    except: AccountId,
) -> Result<Vec<AccountId>> {
    let select = account::Entity::find()
        .filter(account::Column::Email.eq(email.as_str()))
        .filter(account::Column::Id.ne(Uuid::from(except)));
    Ok(models(db, select).await?.into_iter().map(|row| row.id.into()).collect())
}

/// The account with this issuer and subject.
pub async fn find_by_subject(
    db: &impl Connection,
    issuer: &str,
    subject: &str,
) -> Result<Option<Account>> {
    let select = account::Entity::find()
        .filter(account::Column::Issuer.eq(issuer))
        .filter(account::Column::Subject.eq(subject));
    models(db, select).await?.into_iter().next().map(Account::try_from).transpose()
}

/// Whether there is any account; a new store has none.
pub async fn any(db: &impl Connection) -> Result<bool> {
    Ok(!models(db, account::Entity::find().limit(1)).await?.is_empty())
}

/// Which of these addresses belong to accounts of an issuer that are members of an
/// organization other than `except`.
pub async fn members_elsewhere(
    db: &impl Connection,
    issuer: &str,
    addresses: &[&EmailAddress],
    except: OrganizationId,
    now: Timestamp,
) -> Result<HashSet<EmailAddress>> {
    let select = member::Entity::find()
        .select_only()
        .column(account::Column::Email)
        .join(JoinType::InnerJoin, member::Relation::Account.def())
        .join(JoinType::InnerJoin, member::Relation::Organization.def())
        .filter(member::Column::OrganizationId.ne(Uuid::from(except)))
        .filter(member::Column::Status.ne(MemberStatus::Left.as_str()))
        .filter(lasts_beyond(now))
        .filter(is_one_of(account::Column::Email, addresses.iter().map(|address| address.as_str())))
        .filter(account::Column::Issuer.eq(issuer));
    let emails = all(db, &select).await?.into_iter();
    emails.map(|mut row| stored("accounts.email", &row.value::<String>()?)).collect()
}

/// Inserts an account.
pub async fn insert(tx: &Tx, new: &Account) -> Result<()> {
    connection::insert(tx, row(new)).await
}

/// Inserts many accounts.
pub async fn insert_all(tx: &Tx, new: &[Account]) -> Result<()> {
    insert_many(tx, new.iter().map(row).collect()).await
}

fn row(new: &Account) -> account::ActiveModel {
    let Account { id, issuer, subject, kind, profile, created_at, updated_at } = new;
    account::ActiveModel {
        id: Set((*id).into()),
        issuer: Set(issuer.clone()),
        subject: Set(subject.clone()),
        kind: Set(kind.as_str().to_owned()),
        email: Set(profile.email.as_ref().map(ToString::to_string)),
        email_verified: Set(profile.email_verified),
        name: Set(profile.name.clone()),
        picture: Set(profile.picture.clone()),
        login_provider: Set(profile.login_provider.clone()),
        login_provider_kind: Set(profile.login_provider_kind.as_str().to_owned()),
        created_at: Set(created_at.as_micros()),
        updated_at: Set(updated_at.map(Timestamp::as_micros)),
    }
}

/// Updates an account's profile, and the name and address in its memberships; returns false
/// if the account was erased.
pub async fn update_profile(
    tx: &Tx,
    id: AccountId,
    profile: &Profile,
    now: Timestamp,
) -> Result<bool> {
    let email = profile.email.as_ref().map(ToString::to_string);
    let updated = account::Entity::update_many()
        .col_expr(account::Column::Email, Expr::value(email.clone()))
        .col_expr(account::Column::EmailVerified, Expr::value(profile.email_verified))
        .col_expr(account::Column::Name, Expr::value(profile.name.clone()))
        .col_expr(account::Column::Picture, Expr::value(profile.picture.clone()))
        .col_expr(account::Column::LoginProvider, Expr::value(profile.login_provider.clone()))
        .col_expr(
            account::Column::LoginProviderKind,
            Expr::value(profile.login_provider_kind.as_str()),
        )
        .col_expr(account::Column::UpdatedAt, Expr::value(now.as_micros()))
        .filter(account::Column::Id.eq(Uuid::from(id)))
        // Another transaction may have erased it after the change read it.
        .filter(account::Column::Issuer.ne(ERASED_ISSUER));
    if update(tx, updated).await? == 0 {
        return Ok(false);
    }
    let sort_name = profile.sort_name();
    let other_email = match &email {
        Some(email) => Condition::any()
            .add(member::Column::Email.ne(email))
            .add(member::Column::Email.is_null()),
        None => Condition::all().add(member::Column::Email.is_not_null()),
    };
    let in_members = member::Entity::update_many()
        .col_expr(member::Column::SortName, Expr::value(sort_name.clone()))
        .col_expr(member::Column::Email, Expr::value(email.clone()))
        .filter(member::Column::AccountId.eq(Uuid::from(id)))
        .filter(Condition::any().add(member::Column::SortName.ne(sort_name)).add(other_email));
    update(tx, in_members).await?;
    Ok(true)
}

/// Erases the personal data in an account and its memberships; the id and the kind stay. The
/// account must be locked.
pub async fn erase(tx: &Tx, id: AccountId, now: Timestamp) -> Result<()> {
    use account::Column;

    let columns = [
        (Column::Issuer, ERASED_ISSUER.into()),
        (Column::Subject, id.to_string().into()),
        (Column::Email, None::<String>.into()),
        (Column::EmailVerified, false.into()),
        (Column::Name, "".into()),
        (Column::Picture, "".into()),
        (Column::LoginProvider, "".into()),
        (Column::LoginProviderKind, LoginProviderKind::Other.as_str().into()),
        (Column::UpdatedAt, now.as_micros().into()),
    ];
    let erased = set(account::Entity, columns).filter(Column::Id.eq(Uuid::from(id)));
    update(tx, erased).await?;
    let columns = [
        (member::Column::SortName, "".into()),
        (member::Column::Email, None::<String>.into()),
        (member::Column::Metadata, None::<String>.into()),
        (member::Column::ExternalId, None::<String>.into()),
    ];
    let in_members =
        set(member::Entity, columns).filter(member::Column::AccountId.eq(Uuid::from(id)));
    update(tx, in_members).await.map(drop)
}
