//! `guestlist.v1.WebhookService/EnableWebhook`

use super::owner::{Owner, WebhookRef, to_read, write};
use crate::domain::{Action, Timestamp, Webhook};
use crate::error::{Error, Result};
use crate::operations::{Context, RequestContext};
use crate::storage::change;
use crate::storage::{events, webhook_turns, webhooks};

/// The most events that are checked after the last one that was sent.
const MAX_LOOKED_AT: u64 = 1000;

#[derive(Debug, Clone)]
pub struct Enabled {
    pub webhook: Webhook,
    /// Events before this moment are too old and are not sent.
    pub lost_before: Option<Timestamp>,
}

/// Enables an endpoint: it continues where it stopped. Needs an admin of its organization; for an
/// endpoint of the deployment, an operator.
pub async fn enable_webhook(
    cx: &Context,
    call: &RequestContext,
    of: WebhookRef,
) -> Result<Enabled> {
    to_read(cx, call, of.organization).await?;
    let now = cx.now();
    let lost_before = lost_before(cx, of, now).await?;
    let call = call.clone();
    let enabled = change!(async move |tx| {
        let (owner, mut webhook, _) = Owner::and_webhook(tx, &call, of, now).await?;
        if webhook.disabled.is_none() {
            return Ok(Enabled { webhook, lost_before: None });
        }
        webhooks::enable(tx, webhook.id, now).await?;
        webhook.disabled = None;
        webhook.first_failure_at = None;
        webhook.updated_at = now;
        owner.record(tx, Action::WebhookEnabled, &webhook, Vec::new(), &call.actor(), now).await?;
        Ok(Enabled { webhook, lost_before })
    });
    let enabled = write(cx, of.organization, enabled).await?;
    cx.webhook_wakeup.notify_one();
    Ok(enabled)
}

/// The oldest retained moment, if events after the endpoint's last one may be older; `None` if none
/// is lost.
async fn lost_before(cx: &Context, of: WebhookRef, now: Timestamp) -> Result<Option<Timestamp>> {
    let db = cx.store.read();
    let found = webhook_turns::find(db, of.organization, of.id).await?;
    let endpoint = found.ok_or_else(Error::not_found)?;
    let edge = now.minus(cx.rules.event_retention);
    if endpoint.webhook.disabled.is_some_and(|disabled| disabled.at <= edge) {
        return Ok(Some(edge));
    }
    let Some(newest) = events::newest(db).await? else { return Ok(None) };
    let after = Some(endpoint.cursor);
    let behind = events::between(db, of.organization, after, newest.place, MAX_LOOKED_AT).await?;
    let is_full = u64::try_from(behind.len()).unwrap_or(u64::MAX) == MAX_LOOKED_AT;
    let old: Vec<_> = behind.iter().take_while(|event| event.at <= edge).collect();
    let is_lost = old.iter().any(|event| endpoint.webhook.takes(&event.action));
    // If all of them are old, there may be more.
    Ok((is_lost || (is_full && old.len() == behind.len())).then_some(edge))
}
