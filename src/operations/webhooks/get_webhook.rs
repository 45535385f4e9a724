//! `guestlist.v1.WebhookService/GetWebhook`

use super::owner::{WebhookRef, to_read};
use crate::domain::Webhook;
use crate::error::{Error, Result};
use crate::operations::{Context, RequestContext};
use crate::storage::webhooks;

/// Returns an endpoint. Needs an admin of its organization; for an endpoint of the deployment, an
/// operator.
pub async fn get_webhook(cx: &Context, call: &RequestContext, of: WebhookRef) -> Result<Webhook> {
    to_read(cx, call, of.organization).await?;
    let found = webhooks::find(cx.store.read(), of.organization, of.id).await?;
    found.ok_or_else(Error::not_found)
}
