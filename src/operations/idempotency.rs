//! Requests that must not happen twice: within 24 hours the same id answers the
//! same result. Kept are references, never tokens, in the change's transaction.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::RequestContext;
use super::encoding::Encoding;
use crate::domain::{OrganizationId, SecretHash, Timestamp};
use crate::error::{Error, Result};
use crate::storage::requests::{self, Remembered, RequestKey};
use crate::storage::{Store, Tx};

/// How long a request is remembered.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// A caller's id for a request, and where it stood in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestToken {
    /// The caller's word for it.
    pub id: String,
    /// The field or header it came in, for errors.
    pub field: &'static str,
}

/// A request that is carried out once. Without an id it is one of its own.
#[derive(Debug)]
pub struct Idempotency(Option<Named>);

#[derive(Debug)]
struct Named {
    key: RequestKey,
    body_hash: SecretHash,
    field: &'static str,
}

impl Idempotency {
    /// `asked` adds everything that the request asks for, but for its id.
    pub fn new(
        call: &RequestContext,
        organization: OrganizationId,
        operation: &'static str,
        token: Option<&RequestToken>,
        asked: impl FnOnce(Encoding) -> Encoding,
    ) -> Self {
        Self(token.map(|token| Named {
            key: RequestKey {
                account: call.caller.account.id,
                organization,
                operation,
                id: token.id.clone(),
            },
            body_hash:
                <[u8; 32]>::from(Sha256::digest(asked(Encoding::new(operation)).as_bytes())).into(),
            field: token.field,
        }))
    }

    /// What the request came to, if it was carried out before. To be asked after
    /// the caller's authority was checked.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if the id stands for another request.
    pub async fn lookup<T: DeserializeOwned>(&self, tx: &Tx, now: Timestamp) -> Result<Option<T>> {
        let Some(named) = &self.0 else { return Ok(None) };
        let Some(before) = requests::find(tx, &named.key).await? else { return Ok(None) };
        if before.at.plus(REMEMBERED_FOR) <= now {
            return Ok(None);
        }
        if !before.body_hash.matches(&named.body_hash) {
            let what = "was used for another request within the last 24 hours";
            return Err(Error::invalid(named.field, what));
        }
        serde_json::from_str(&before.outcome).map(Some).map_err(Error::internal)
    }

    /// Remembers what it came to.
    pub async fn store(&self, tx: &Tx, outcome: &impl Serialize, now: Timestamp) -> Result<()> {
        let Some(named) = &self.0 else { return Ok(()) };
        let outcome = serde_json::to_string(outcome).map_err(Error::internal)?;
        let what = Remembered { body_hash: named.body_hash, outcome, at: now };
        requests::remember(tx, &named.key, &what).await
    }
}

/// Forgets the requests that are no longer remembered; answers how many.
///
/// # Errors
/// If the store cannot be written.
pub async fn forget_requests(store: &Store, now: Timestamp) -> Result<u64> {
    let before = now.minus(REMEMBERED_FOR);
    store.write(async move |tx| requests::prune(tx, before).await).await
}
