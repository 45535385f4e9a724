//! Messages about webhooks.

use super::{Fields, MAX_TOKEN, to_timestamp};
use crate::domain::{Action, Timestamp, Webhook, WebhookDelivery};
use crate::error::Result;
use crate::operations::webhooks::{
    CreateWebhook, DeliveryList, Enabled, ListDeliveries, ListWebhooks, Replay, Replayed, Span,
    UpdateWebhook, WebhookList, WebhookRef, WithSecret,
};
use crate::proto::guestlist::v1 as pb;

const MAX_URL: usize = 2048;
const MAX_DESCRIPTION: usize = 512;

impl Fields {
    fn webhook(&mut self, organization: &str, id: &str) -> Option<WebhookRef> {
        let organization = self.parse_optional("organization_id", organization);
        Some(WebhookRef { organization, id: self.parse("webhook_id", id)? })
    }

    /// Types of events, without duplicates.
    fn event_types(&mut self, field: &str, given: Vec<String>) -> Vec<String> {
        let mut types = Vec::new();
        if !self.count(field, &given, 25) {
            return types;
        }
        for (i, text) in given.into_iter().enumerate() {
            let field = format!("{field}[{i}]");
            if text.chars().count() > 64 || text.contains('\0') {
                self.text(field, &text, 64);
            } else if Action::ALL.iter().all(|action| action.as_str() != text) {
                self.wrong(field, "must be a type of event, such as member.joined");
            } else if !types.contains(&text) {
                types.push(text);
            }
        }
        types
    }
}

/// Parses a request that has only the ids of an organization and a webhook.
pub fn webhook_ref(organization: &str, id: &str) -> Result<WebhookRef> {
    let mut fields = Fields::default();
    let of = fields.webhook(organization, id);
    fields.finish(|| of)
}

pub fn create_webhook(message: pb::CreateWebhookRequest) -> Result<CreateWebhook> {
    let mut fields = Fields::default();
    let organization = fields.parse_optional("organization_id", &message.organization_id);
    fields.text("url", &message.url, MAX_URL);
    fields.text("description", &message.description, MAX_DESCRIPTION);
    let event_types = fields.event_types("event_types", message.event_types);
    let pb::CreateWebhookRequest { url, description, .. } = message;
    fields.finish(|| Some(CreateWebhook { organization, url, description, event_types }))
}

pub fn list_webhooks(message: pb::ListWebhooksRequest) -> Result<ListWebhooks> {
    let mut fields = Fields::default();
    let organization = fields.parse_optional("organization_id", &message.organization_id);
    let page = fields.page(message.page);
    fields.finish(|| page.map(|(size, token)| ListWebhooks { organization, size, token }))
}

pub fn update_webhook(message: pb::UpdateWebhookRequest) -> Result<UpdateWebhook> {
    let mut fields = Fields::default();
    let of = fields.webhook(&message.organization_id, &message.webhook_id);
    let pb::UpdateWebhookRequest { url, description, event_types, .. } = message;
    fields.text("url", url.as_deref().unwrap_or_default(), MAX_URL);
    fields.text("description", description.as_deref().unwrap_or_default(), MAX_DESCRIPTION);
    let event_types = event_types.map(|given| fields.event_types("event_types.types", given.types));
    fields.finish(|| Some(UpdateWebhook { of: of?, url, description, event_types }))
}

pub fn list_deliveries(message: pb::ListDeliveriesRequest) -> Result<ListDeliveries> {
    let mut fields = Fields::default();
    let of = fields.webhook(&message.organization_id, &message.webhook_id);
    let page = fields.page(message.page);
    fields.finish(|| {
        let (size, token) = page?;
        Some(ListDeliveries { of: of?, size, token })
    })
}

pub fn replay(message: pb::ReplayRequest) -> Result<Replay> {
    let mut fields = Fields::default();
    let of = fields.webhook(&message.organization_id, &message.webhook_id);
    let event = fields.parse_optional("event_id", &message.event_id);
    let start = message.start_time.and_then(|at| fields.timestamp("start_time", at));
    let end = message.end_time.and_then(|at| fields.timestamp("end_time", at));
    fields.text("page_token", &message.page_token, MAX_TOKEN);
    if message.event_id.is_empty() && message.start_time.is_none() {
        fields.wrong("start_time", "must be set if event_id is not");
    }
    fields.finish(|| {
        let what = match event {
            Some(event) => Span::One(event),
            None => Span::Between(start?, end.unwrap_or(Timestamp::LAST)),
        };
        Some(Replay { of: of?, what, token: message.page_token })
    })
}

impl From<Webhook> for pb::Webhook {
    fn from(webhook: Webhook) -> Self {
        let disabled = webhook.disabled;
        Self {
            id: webhook.id.to_string(),
            organization_id: webhook.organization.map(|id| id.to_string()).unwrap_or_default(),
            url: webhook.url,
            description: webhook.description,
            event_types: webhook.event_types,
            enabled: disabled.is_none(),
            disabled_reason: disabled.map_or("", |it| it.reason.as_str()).to_owned(),
            disable_time: disabled.map(|it| to_timestamp(it.at)),
            first_failure_time: webhook.first_failure_at.map(to_timestamp),
            previous_secret_expire_time: webhook.previous_secret_ends_at.map(to_timestamp),
            create_time: Some(to_timestamp(webhook.created_at)),
            update_time: Some(to_timestamp(webhook.updated_at)),
        }
    }
}

impl From<WebhookDelivery> for pb::WebhookDelivery {
    fn from(delivery: WebhookDelivery) -> Self {
        let number = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
        Self {
            event_id: delivery.event.to_string(),
            event_type: delivery.event_type,
            attempts: number(delivery.attempts),
            next_attempt_time: delivery.next_attempt_at.map(to_timestamp),
            last_attempt_time: delivery.last_attempt_at.map(to_timestamp),
            status: delivery.status.map_or(0, number),
            reason: delivery.reason,
            answer: delivery.answer,
        }
    }
}

impl From<WithSecret> for pb::CreateWebhookResponse {
    fn from(made: WithSecret) -> Self {
        Self { secret: made.secret.expose(), webhook: Some(made.webhook.into()) }
    }
}

impl From<WithSecret> for pb::RotateSecretResponse {
    fn from(made: WithSecret) -> Self {
        Self { secret: made.secret.expose(), webhook: Some(made.webhook.into()) }
    }
}

impl From<WebhookList> for pb::ListWebhooksResponse {
    fn from(list: WebhookList) -> Self {
        let webhooks = list.webhooks.into_iter().map(Into::into).collect();
        Self { webhooks, next_page_token: list.next_token }
    }
}

impl From<DeliveryList> for pb::ListDeliveriesResponse {
    fn from(list: DeliveryList) -> Self {
        let deliveries = list.deliveries.into_iter().map(Into::into).collect();
        Self { deliveries, next_page_token: list.next_token }
    }
}

impl From<Enabled> for pb::EnableWebhookResponse {
    fn from(enabled: Enabled) -> Self {
        Self {
            webhook: Some(enabled.webhook.into()),
            events_lost_before: enabled.lost_before.map(to_timestamp),
        }
    }
}

impl From<Replayed> for pb::ReplayResponse {
    fn from(replayed: Replayed) -> Self {
        let events = i32::try_from(replayed.events).unwrap_or(i32::MAX);
        Self { events, next_page_token: replayed.next_token }
    }
}
