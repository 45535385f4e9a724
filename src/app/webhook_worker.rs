//! Builds the sender and the worker for webhooks from the settings.

use std::sync::Arc;

use crate::config::Config;
use crate::error::Result;
use crate::operations::Context;
use crate::webhooks::{AllowedAddresses, Sender, Targets, system_lookup};
use crate::workers::webhooks::WebhookWorker;

/// `ce-source` of installations without `public_url`.
const DEFAULT_SOURCE: &str = "guestlist";

/// # Errors
/// If the system's root certificates cannot be used.
pub(super) fn sender(config: &Config) -> Result<Arc<Sender>> {
    let addresses = AllowedAddresses { networks: config.webhooks.allowed_networks.clone() };
    let targets = Targets { allow_http: config.webhooks.allow_http, addresses };
    let source = config.public_url.clone().unwrap_or_else(|| DEFAULT_SOURCE.to_owned());
    Sender::new(targets, source, system_lookup()).map(Arc::new)
}

pub(super) fn worker(context: &Context) -> WebhookWorker {
    WebhookWorker::new(
        context.store.clone(),
        Arc::clone(&context.clock),
        Arc::clone(&context.keyring),
        Arc::clone(&context.webhooks),
        context.rules.event_retention,
    )
}
