//! `guestlist.v1.WebhookService/SendTest`

use std::time::Duration;

use super::owner::{WebhookRef, is_operator, to_read};
use super::secrets::unseal;
use crate::domain::{AuditEventId, EventData, WebhookData};
use crate::error::{Error, Result};
use crate::operations::{Context, RequestContext};
use crate::proto::guestlist::v1 as pb;
use crate::storage::{event_data, webhooks};
use crate::webhooks::{Attempt, Message};

/// The type of the event, which is not in the feed.
const EVENT_TYPE: &str = "webhook.test";

/// The longest time to wait for the response; shorter than the time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends an event to an endpoint. Needs an admin of its organization; for an endpoint of the
/// deployment, an operator. Only an operator gets the response.
pub async fn send_test(cx: &Context, call: &RequestContext, of: WebhookRef) -> Result<Attempt> {
    let organization = to_read(cx, call, of.organization).await?;
    let found = webhooks::find_with_secrets(cx.store.read(), of.organization, of.id).await?;
    let (webhook, sealed) = found.ok_or_else(Error::not_found)?;
    // It counts as a list, so that only a few run at a time: each waits for another server.
    let _permit = cx.limits.list(of.organization).await?;
    let now = cx.now();
    let secrets = unseal(&cx.keyring, webhook.id, &sealed, now)?;
    let data = EventData::Webhook(WebhookData::new(&webhook, Vec::new()));
    let actor = call.actor();
    let text = |id: Option<crate::domain::AccountId>| id.map(|id| id.to_string());
    let event = pb::Event {
        id: AuditEventId::generate(now).to_string(),
        r#type: EVENT_TYPE.to_owned(),
        time: Some(event_data::to_timestamp(now)),
        organization_id: of.organization.map(|id| id.to_string()).unwrap_or_default(),
        organization_version: organization.map_or(0, |organization| organization.version),
        actor_account_id: text(actor.account).unwrap_or_default(),
        on_behalf_of_account_id: text(actor.on_behalf_of).unwrap_or_default(),
        request_id: actor.request_id.0.to_string(),
        data: Some(event_data::message(&data)),
    };
    let message = Message::new(&event, call.trace)?;
    let mut attempt = cx.webhooks.send(&webhook.url, &message, &secrets, now, TIMEOUT).await;
    if !is_operator(call) {
        attempt.answer.clear();
    }
    Ok(attempt)
}
