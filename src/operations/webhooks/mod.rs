//! Endpoints that events are sent to.

mod create_webhook;
mod delete_webhook;
mod disable_webhook;
mod enable_webhook;
mod get_webhook;
mod list_deliveries;
mod list_webhooks;
mod owner;
mod replay;
mod rotate_secret;
mod secrets;
mod send_test;
mod update_webhook;

pub use create_webhook::{CreateWebhook, create_webhook};
pub use delete_webhook::delete_webhook;
pub use disable_webhook::{disable_webhook, disable_working};
pub use enable_webhook::{Enabled, enable_webhook};
pub use get_webhook::get_webhook;
pub use list_deliveries::{DeliveryList, ListDeliveries, list_deliveries};
pub use list_webhooks::{ListWebhooks, WebhookList, list_webhooks};
pub use owner::WebhookRef;
pub use replay::{Replay, Replayed, Span, replay};
pub use rotate_secret::rotate_secret;
pub use secrets::{WithSecret, unseal};
pub use send_test::send_test;
pub use update_webhook::{UpdateWebhook, update_webhook};
