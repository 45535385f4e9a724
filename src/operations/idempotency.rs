//! Idempotent requests: a retry with the same request id within 24 hours returns the first
//! result and changes nothing. The store keeps ids of the results, never tokens, written in
//! the transaction of the change.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::RequestContext;
use super::encoding::Encoding;
use crate::domain::{OrganizationId, SecretHash, Timestamp};
use crate::error::{Error, Result};
use crate::storage::change;
use crate::storage::requests::{self, Remembered, RequestKey};
use crate::storage::{Store, Tx};

/// How long a result is kept for retries.
pub const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// The idempotency key that a client chose for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestToken {
    pub id: String,
    /// The field or header that contained `id`, for errors.
    pub field: &'static str,
}

/// Stores and looks up the result of one request; does nothing for a request without an
/// idempotency key.
#[derive(Debug)]
pub struct Idempotency(Option<KeyedRequest>);

#[derive(Debug)]
struct KeyedRequest {
    key: RequestKey,
    body_hash: SecretHash,
    field: &'static str,
}

impl Idempotency {
    /// `encode` adds every parameter of the request except its idempotency key.
    pub fn new(
        call: &RequestContext,
        organization: OrganizationId,
        operation: &'static str,
        token: Option<&RequestToken>,
        encode: impl FnOnce(Encoding) -> Encoding,
    ) -> Self {
        Self(
            token.map(|token| KeyedRequest {
                key: RequestKey {
                    account: call.caller.account.id,
                    organization,
                    operation,
                    id: token.id.clone(),
                },
                body_hash: <[u8; 32]>::from(Sha256::digest(
                    encode(Encoding::new(operation)).as_bytes(),
                ))
                .into(),
                field: token.field,
            }),
        )
    }

    /// The stored result, if this is a retry. Must run after the permission check, so that a caller
    /// that has lost the permission gets no result.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if the idempotency key was used with other parameters.
    pub async fn lookup<T: DeserializeOwned>(&self, tx: &Tx, now: Timestamp) -> Result<Option<T>> {
        let Some(request) = &self.0 else { return Ok(None) };
        let Some(before) = requests::find(tx, &request.key).await? else { return Ok(None) };
        if before.at.plus(RETENTION) <= now {
            return Ok(None);
        }
        if !before.body_hash.matches(&request.body_hash) {
            let what = "was used for another request within the last 24 hours";
            return Err(Error::invalid(request.field, what));
        }
        serde_json::from_str(&before.outcome).map(Some).map_err(Error::internal)
    }

    /// Stores the result for retries.
    pub async fn store(&self, tx: &Tx, outcome: &impl Serialize, now: Timestamp) -> Result<()> {
        let Some(request) = &self.0 else { return Ok(()) };
        let outcome = serde_json::to_string(outcome).map_err(Error::internal)?;
        let what = Remembered { body_hash: request.body_hash, outcome, at: now };
        requests::remember(tx, &request.key, &what).await
    }
}

/// Deletes the stored results that are too old for retries; returns how many.
///
/// # Errors
/// If the store cannot be written.
pub async fn delete_old_results(store: &Store, now: Timestamp) -> Result<u64> {
    let before = now.minus(RETENTION);
    store.write(change!(async move |tx| requests::prune(tx, before).await)).await
}
