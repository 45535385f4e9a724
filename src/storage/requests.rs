//! Queries on `requests`: the outcomes of requests, for callers that send them again.

use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::connection::{Tx, delete, insert, models};
use super::entity::request;
use crate::domain::{AccountId, OrganizationId, SecretHash, Timestamp};
use crate::error::Result;

/// The key of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    pub account: AccountId,
    pub organization: OrganizationId,
    pub operation: &'static str,
    /// The id that the caller gave the request.
    pub id: String,
}

/// A request that has succeeded.
#[derive(Debug)]
pub struct Remembered {
    /// The hash of the operation and the parameters of the request.
    pub body_hash: SecretHash,
    /// The outcome: ids, never tokens.
    pub outcome: String,
    pub at: Timestamp,
}

/// The request with this key.
pub async fn find(tx: &Tx, key: &RequestKey) -> Result<Option<Remembered>> {
    let rows = models(tx, request::Entity::find().filter(is(key))).await?;
    let found = rows.into_iter().next().map(|row| {
        Ok(Remembered {
            body_hash: SecretHash::from_bytes(&row.body_hash)
                .map_err(crate::error::Error::internal)?,
            outcome: row.outcome,
            at: Timestamp::from_micros(row.created_at),
        })
    });
    found.transpose()
}

/// Stores a request in the transaction of its change, in place of an older request with the same
/// key.
pub async fn remember(tx: &Tx, key: &RequestKey, what: &Remembered) -> Result<()> {
    delete(tx, request::Entity::delete_many().filter(is(key))).await?;
    let row = request::ActiveModel {
        account_id: Set(key.account.into()),
        organization_id: Set(key.organization.into()),
        operation: Set(key.operation.to_owned()),
        request_id: Set(key.id.clone()),
        body_hash: Set(what.body_hash.as_bytes().to_vec()),
        outcome: Set(what.outcome.clone()),
        created_at: Set(what.at.as_micros()),
    };
    insert(tx, row).await
}

/// Deletes the requests that are older than `before`; returns how many.
pub async fn prune(tx: &Tx, before: Timestamp) -> Result<u64> {
    let old = request::Column::CreatedAt.lt(before.as_micros());
    delete(tx, request::Entity::delete_many().filter(old)).await
}

/// Deletes the requests of an account.
pub async fn delete_of(tx: &Tx, account: AccountId) -> Result<()> {
    let its = request::Column::AccountId.eq(Uuid::from(account));
    delete(tx, request::Entity::delete_many().filter(its)).await.map(drop)
}

fn is(key: &RequestKey) -> Condition {
    use request::Column;

    Condition::all()
        .add(Column::AccountId.eq(Uuid::from(key.account)))
        .add(Column::OrganizationId.eq(Uuid::from(key.organization)))
        .add(Column::Operation.eq(key.operation))
        .add(Column::RequestId.eq(&key.id))
}
