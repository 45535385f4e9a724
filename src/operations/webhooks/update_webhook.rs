//! `guestlist.v1.WebhookService/UpdateWebhook`

use super::owner::{Owner, WebhookRef, to_read, write};
use crate::domain::{Action, Webhook};
use crate::error::{Error, Result};
use crate::operations::{Context, RequestContext};
use crate::storage::change;
use crate::storage::webhooks;

/// A field that is `None` is not changed.
#[derive(Debug, Clone)]
pub struct UpdateWebhook {
    pub of: WebhookRef,
    pub url: Option<String>,
    pub description: Option<String>,
    pub event_types: Option<Vec<String>>,
}

/// Changes an endpoint. Needs an admin of its organization; for an endpoint of the deployment, an
/// operator.
pub async fn update_webhook(
    cx: &Context,
    call: &RequestContext,
    input: UpdateWebhook,
) -> Result<Webhook> {
    let organization = input.of.organization;
    to_read(cx, call, organization).await?;
    let parse = |url: &str| cx.webhooks.targets().parse(url).map(String::from);
    let url = input.url.as_deref().map(parse).transpose();
    let url = url.map_err(|wrong| Error::invalid("url", wrong.0))?;
    let now = cx.now();
    let call = call.clone();
    let updated = change!(async move |tx| {
        let (owner, before, _) = Owner::and_webhook(tx, &call, input.of, now).await?;
        let mut after = before.clone();
        let mut changes = Vec::new();
        if let Some(url) = url.clone().filter(|url| *url != before.url) {
            after.url = url;
            changes.push("url");
        }
        if let Some(text) = input.description.clone().filter(|text| *text != before.description) {
            after.description = text;
            changes.push("description");
        }
        if let Some(types) = input.event_types.clone().filter(|it| *it != before.event_types) {
            after.event_types = types;
            changes.push("event_types");
        }
        if changes.is_empty() {
            return Ok(before);
        }
        after.updated_at = now;
        let again = after.disabled.is_none() && changes != ["description"];
        webhooks::set_terms(tx, &after, again).await?;
        owner.record(tx, Action::WebhookUpdated, &after, changes, &call.actor(), now).await?;
        Ok(after)
    });
    let updated = write(cx, organization, updated).await?;
    cx.webhook_wakeup.notify_one();
    Ok(updated)
}
