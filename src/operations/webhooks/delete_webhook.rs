//! `guestlist.v1.WebhookService/DeleteWebhook`

use super::owner::{Owner, WebhookRef, write};
use crate::domain::Action;
use crate::error::Result;
use crate::operations::{Context, RequestContext};
use crate::storage::change;
use crate::storage::webhooks;

/// Deletes an endpoint and the deliveries that wait for it. Needs an admin of its organization; for
/// an endpoint of the deployment, an operator.
pub async fn delete_webhook(cx: &Context, call: &RequestContext, of: WebhookRef) -> Result<()> {
    let now = cx.now();
    let call = call.clone();
    let deleted = change!(async move |tx| {
        let (owner, webhook, _) = Owner::and_webhook(tx, &call, of, now).await?;
        webhooks::delete(tx, webhook.id).await?;
        owner.record(tx, Action::WebhookDeleted, &webhook, Vec::new(), &call.actor(), now).await
    });
    write(cx, of.organization, deleted).await
}
