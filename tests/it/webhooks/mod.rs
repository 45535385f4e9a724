//! Which events webhooks receive, and when.

mod addresses;
mod delivery;
mod endpoint;
mod ends;
mod failures;
mod restart;

pub use endpoint::{Endpoint, Reply};

use crate::support::own;

/// The organization's id and the webhook's id, for a request.
pub fn of(webhook: &own::Webhook) -> (String, String) {
    (webhook.organization_id.clone(), webhook.id.clone())
}

/// Waits until the condition is true, at most 30 seconds. `what` describes it.
pub async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(30), wait).await;
    assert!(waited.is_ok(), "not true after 30 s: {what}");
}
