//! Queries on `accounts`.

use std::collections::HashSet;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, JoinType, QueryFilter,
    QuerySelect, RelationTrait,
};
use uuid::Uuid;

use super::Tx;
use super::entity::{account, member, stored};
use super::error::OrError;
use super::query::{is_one_of, unique};
use super::text::{Text, one};
use crate::domain::{
    Account, AccountId, EmailAddress, MemberStatus, OrganizationId, Profile, Timestamp,
};
use crate::error::Result;

/// The account with this id.
pub async fn find(db: &impl ConnectionTrait, id: AccountId) -> Result<Option<Account>> {
    let row = unique(account::Entity::find_by_id(Uuid::from(id)), db).await?;
    row.map(Account::try_from).transpose()
}

/// The account with this id, its profile locked until the transaction ends: a change of
/// the name waits, and then finds the memberships that this transaction makes. (SQLite
/// has one writer anyway, and leaves the lock out.)
pub async fn lock_profile(tx: &Tx, id: AccountId) -> Result<Option<Account>> {
    static TEXT: Text = Text::new();
    let id = Uuid::from(id);
    let locked = TEXT.statement(tx, [id.into()], || account::Entity::find_by_id(id).lock_shared());
    one::<account::Model>(tx, locked).await?.map(Account::try_from).transpose()
}

/// The account an issuer means by a subject: both together identify it.
pub async fn find_by_subject(
    db: &impl ConnectionTrait,
    issuer: &str,
    subject: &str,
) -> Result<Option<Account>> {
    let select = account::Entity::find()
        .filter(account::Column::Issuer.eq(issuer))
        .filter(account::Column::Subject.eq(subject));
    unique(select, db).await?.map(Account::try_from).transpose()
}

/// Whether there is any account at all: a store without one is new.
pub async fn any(db: &impl ConnectionTrait) -> Result<bool> {
    let rows = account::Entity::find().limit(1).all(db).await.or_error()?;
    Ok(!rows.is_empty())
}

/// Which of these addresses belong to accounts of an issuer that are members of an
/// organization other than `except`.
pub async fn members_elsewhere(
    db: &impl ConnectionTrait,
    issuer: &str,
    addresses: &[&EmailAddress],
    except: OrganizationId,
) -> Result<HashSet<EmailAddress>> {
    let rows: Vec<String> = member::Entity::find()
        .select_only()
        .column(account::Column::Email)
        .join(JoinType::InnerJoin, member::Relation::Account.def())
        .join(JoinType::InnerJoin, member::Relation::Organization.def())
        .filter(member::Column::OrganizationId.ne(Uuid::from(except)))
        .filter(member::Column::Status.ne(MemberStatus::Left.as_str()))
        .filter(is_one_of(account::Column::Email, addresses.iter().map(|address| address.as_str())))
        .filter(account::Column::Issuer.eq(issuer))
        .into_tuple()
        .all(db)
        .await
        .or_error()?;
    rows.iter().map(|email| stored("accounts.email", email)).collect()
}

/// Makes an account.
pub async fn insert(tx: &Tx, new: &Account) -> Result<()> {
    let Account { id, issuer, subject, kind, profile, created_at, updated_at } = new;
    account::Entity::insert(account::ActiveModel {
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
    })
    .exec_without_returning(tx)
    .await
    .or_error()?;
    Ok(())
}

/// Updates an account's profile, and the name and address in its memberships.
pub async fn update_profile(
    tx: &Tx,
    id: AccountId,
    profile: &Profile,
    now: Timestamp,
) -> Result<()> {
    tx.changes_keys();
    let email = profile.email.as_ref().map(ToString::to_string);
    account::Entity::update_many()
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
        .exec(tx)
        .await
        .or_error()?;
    let sort_name = profile.sort_name();
    let other_email = match &email {
        Some(email) => Condition::any()
            .add(member::Column::Email.ne(email))
            .add(member::Column::Email.is_null()),
        None => Condition::all().add(member::Column::Email.is_not_null()),
    };
    member::Entity::update_many()
        .col_expr(member::Column::SortName, Expr::value(sort_name.clone()))
        .col_expr(member::Column::Email, Expr::value(email.clone()))
        .filter(member::Column::AccountId.eq(Uuid::from(id)))
        .filter(Condition::any().add(member::Column::SortName.ne(sort_name)).add(other_email))
        .exec(tx)
        .await
        .or_error()?;
    Ok(())
}
