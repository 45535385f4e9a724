//! Queries on `api_keys`.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use uuid::Uuid;

use super::connection::{self, Connection, Tx, all, first, update};
use super::entity::{account, api_key, stored};
use super::sql::{Named, query};
use super::statement::Row;
use crate::domain::{Account, AccountId, ApiKey, KeyId, OrganizationId, Timestamp};
use crate::error::Result;

fn key_with_account(mut row: Row) -> Result<(ApiKey, Account)> {
    let key = row.model::<api_key::Entity>()?;
    Ok((key.try_into()?, row.model::<account::Entity>()?.try_into()?))
}

/// The key with this id, with its account.
pub async fn find(db: &impl Connection, id: &KeyId) -> Result<Option<(ApiKey, Account)>> {
    static FIND: Named =
        Named::new(|| query(api_key::Entity::find_by_id("").find_also_related(account::Entity)));
    first(db, FIND.with(db, [id.as_str().into()])).await?.map(key_with_account).transpose()
}

/// All keys, including revoked and expired ones, oldest first.
pub async fn list(db: &impl Connection) -> Result<Vec<(ApiKey, Account)>> {
    let keys = api_key::Entity::find()
        .find_also_related(account::Entity)
        .order_by_asc(api_key::Column::CreatedAt)
        .order_by_asc(api_key::Column::Id);
    all(db, &keys).await?.into_iter().map(key_with_account).collect()
}

/// The ids of an account's keys that are not revoked, including expired ones.
pub async fn not_revoked_of(db: &impl Connection, account: AccountId) -> Result<Vec<KeyId>> {
    use api_key::Column;

    let select = api_key::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::AccountId.eq(Uuid::from(account)))
        .filter(Column::RevokedAt.is_null());
    let ids = all(db, &select).await?.into_iter();
    ids.map(|mut row| stored("api_keys.id", &row.value::<String>()?)).collect()
}

/// Stores a new key.
pub async fn insert(tx: &Tx, key: &ApiKey) -> Result<()> {
    let row = api_key::ActiveModel {
        id: Set(key.id.to_string()),
        secret_hash: Set(key.hash.as_bytes().to_vec()),
        account_id: Set(key.account.into()),
        scope: Set(key.scope.map(|scope| scope.as_str().to_owned())),
        organization_id: Set(key.organization.map(Into::into)),
        created_at: Set(key.created_at.as_micros()),
        expires_at: Set(key.expires_at.map(Timestamp::as_micros)),
        revoked_at: Set(key.revoked_at.map(Timestamp::as_micros)),
        last_used_at: Set(key.last_used_at.map(Timestamp::as_micros)),
    };
    connection::insert(tx, row).await
}

/// Revokes a key; returns whether it exists and was not revoked before.
pub async fn revoke(tx: &Tx, id: &KeyId, now: Timestamp) -> Result<bool> {
    let revoked = api_key::Entity::update_many()
        .col_expr(api_key::Column::RevokedAt, Expr::value(now.as_micros()))
        .filter(api_key::Column::Id.eq(id.as_str()))
        .filter(api_key::Column::RevokedAt.is_null());
    Ok(update(tx, revoked).await? == 1)
}

/// Revokes all keys bound to a locked organization that is being deleted; returns their
/// ids.
pub async fn revoke_bound_to(
    tx: &Tx,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<Vec<KeyId>> {
    use api_key::Column;

    let bound =
        Column::OrganizationId.eq(Uuid::from(organization)).and(Column::RevokedAt.is_null());
    let select = api_key::Entity::find().select_only().column(Column::Id).filter(bound.clone());
    let mut ids = Vec::new();
    for mut row in all(tx, &select).await? {
        ids.push(stored("api_keys.id", &row.value::<String>()?)?);
    }
    if !ids.is_empty() {
        let revoked = api_key::Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(now.as_micros()))
            .filter(bound);
        update(tx, revoked).await?;
    }
    Ok(ids)
}

/// Stores when a key was last used, unless the store already has a later time.
pub async fn record_use(tx: &Tx, id: &KeyId, at: Timestamp) -> Result<()> {
    let used = api_key::Entity::update_many()
        .col_expr(api_key::Column::LastUsedAt, Expr::value(at.as_micros()))
        .filter(api_key::Column::Id.eq(id.as_str()))
        .filter(
            Condition::any()
                .add(api_key::Column::LastUsedAt.is_null())
                .add(api_key::Column::LastUsedAt.lt(at.as_micros())),
        );
    update(tx, used).await.map(drop)
}
