//! Queries on `requests`.

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::Tx;
use super::entity::request;
use super::error::OrError;
use super::query::unique;
use crate::domain::{AccountId, OrganizationId, SecretHash, Timestamp};
use crate::error::Result;

/// What names a request: whose, where, what, and the caller's word for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub organization: OrganizationId,
    /// What was to be done.
    pub operation: &'static str,
    /// The caller's word for it.
    pub id: String,
}

/// A request that was carried out.
#[derive(Debug)]
pub struct Remembered {
    /// What was asked.
    pub body_hash: SecretHash,
    /// What it came to, by reference.
    pub outcome: String,
    /// When.
    pub at: Timestamp,
}

/// The request of this name, if there was one.
pub async fn find(tx: &Tx, key: &RequestKey) -> Result<Option<Remembered>> {
    let row = unique(request::Entity::find_by_id(id(key)), tx).await?;
    row.map(|row| {
        Ok(Remembered {
            body_hash: SecretHash::from_bytes(&row.body_hash)
                .map_err(crate::error::Error::internal)?,
            outcome: row.outcome,
            at: Timestamp::from_micros(row.created_at),
        })
    })
    .transpose()
}

/// Remembers a request in the transaction that carries it out; an older one of
/// the same name is forgotten.
pub async fn remember(tx: &Tx, key: &RequestKey, what: &Remembered) -> Result<()> {
    request::Entity::delete_by_id(id(key)).exec(tx).await.or_error()?;
    request::Entity::insert(request::ActiveModel {
        account_id: Set(key.account.into()),
        organization_id: Set(key.organization.into()),
        operation: Set(key.operation.to_owned()),
        request_id: Set(key.id.clone()),
        body_hash: Set(what.body_hash.as_bytes().to_vec()),
        outcome: Set(what.outcome.clone()),
        created_at: Set(what.at.as_micros()),
    })
    .exec_without_returning(tx)
    .await
    .or_error()?;
    Ok(())
}

/// Forgets what is older than `before`.
pub async fn prune(tx: &Tx, before: Timestamp) -> Result<u64> {
    let done = request::Entity::delete_many()
        .filter(request::Column::CreatedAt.lt(before.as_micros()))
        .exec(tx)
        .await
        .or_error()?;
    Ok(done.rows_affected)
}

fn id(key: &RequestKey) -> (Uuid, Uuid, String, String) {
    (key.account.into(), key.organization.into(), key.operation.to_owned(), key.id.clone())
}
