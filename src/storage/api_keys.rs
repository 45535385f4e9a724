//! Queries on `api_keys`.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::Tx;
use super::entity::{account, api_key, stored};
use super::error::OrError;
use super::text::{Text, one_of_two};
use crate::domain::{Account, ApiKey, KeyId, OrganizationId, Timestamp};
use crate::error::{Error, Result};

type Row = (api_key::Model, Option<account::Model>);

fn key_with_account((key, account): Row) -> Result<(ApiKey, Account)> {
    let account = account.ok_or_else(|| Error::internal("a key without its account"))?;
    Ok((key.try_into()?, account.try_into()?))
}

/// The key with this id, and whose it is.
pub async fn find(db: &impl ConnectionTrait, id: &KeyId) -> Result<Option<(ApiKey, Account)>> {
    static TEXT: Text = Text::new();
    let found = TEXT.statement(db, [id.as_str().into()], || {
        api_key::Entity::find_by_id(id.as_str()).find_also_related(account::Entity)
    });
    one_of_two(db, found).await?.map(key_with_account).transpose()
}

/// Every key, oldest first, revoked and expired ones too.
pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<(ApiKey, Account)>> {
    let rows = api_key::Entity::find()
        .find_also_related(account::Entity)
        .order_by_asc(api_key::Column::CreatedAt)
        .order_by_asc(api_key::Column::Id)
        .all(db)
        .await
        .or_error()?;
    rows.into_iter().map(key_with_account).collect()
}

/// Stores a new key.
pub async fn insert(tx: &Tx, key: &ApiKey) -> Result<()> {
    api_key::Entity::insert(api_key::ActiveModel {
        id: Set(key.id.to_string()),
        secret_hash: Set(key.hash.as_bytes().to_vec()),
        account_id: Set(key.account.into()),
        scope: Set(key.scope.map(|scope| scope.as_str().to_owned())),
        organization_id: Set(key.organization.map(Into::into)),
        created_at: Set(key.created_at.as_micros()),
        expires_at: Set(key.expires_at.map(Timestamp::as_micros)),
        revoked_at: Set(key.revoked_at.map(Timestamp::as_micros)),
        last_used_at: Set(key.last_used_at.map(Timestamp::as_micros)),
    })
    .exec_without_returning(tx)
    .await
    .or_error()?;
    Ok(())
}

/// Revokes a key; answers whether it was there and not revoked before.
pub async fn revoke(tx: &Tx, id: &KeyId, now: Timestamp) -> Result<bool> {
    tx.changes_keys();
    let done = api_key::Entity::update_many()
        .col_expr(api_key::Column::RevokedAt, Expr::value(now.as_micros()))
        .filter(api_key::Column::Id.eq(id.as_str()))
        .filter(api_key::Column::RevokedAt.is_null())
        .exec(tx)
        .await
        .or_error()?;
    Ok(done.rows_affected == 1)
}

/// Revokes every key bound to a locked organization that is going away; returns which.
pub async fn revoke_bound_to(
    tx: &Tx,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<Vec<KeyId>> {
    use api_key::Column;

    let bound =
        Column::OrganizationId.eq(Uuid::from(organization)).and(Column::RevokedAt.is_null());
    let ids: Vec<String> = api_key::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(bound.clone())
        .into_tuple()
        .all(tx)
        .await
        .or_error()?;
    if !ids.is_empty() {
        tx.changes_keys();
        api_key::Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(now.as_micros()))
            .filter(bound)
            .exec(tx)
            .await
            .or_error()?;
    }
    ids.iter().map(|id| stored("api_keys.id", id)).collect()
}

/// Remembers when a key was last used; never moves it back.
pub async fn record_use(tx: &Tx, id: &KeyId, at: Timestamp) -> Result<()> {
    api_key::Entity::update_many()
        .col_expr(api_key::Column::LastUsedAt, Expr::value(at.as_micros()))
        .filter(api_key::Column::Id.eq(id.as_str()))
        .filter(
            Condition::any()
                .add(api_key::Column::LastUsedAt.is_null())
                .add(api_key::Column::LastUsedAt.lt(at.as_micros())),
        )
        .exec(tx)
        .await
        .or_error()?;
    Ok(())
}
