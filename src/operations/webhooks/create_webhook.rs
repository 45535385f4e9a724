//! `guestlist.v1.WebhookService/CreateWebhook`

use super::owner::{Owner, to_read, write};
use super::secrets::{WithSecret, seal};
use crate::domain::{Action, OrganizationId, Webhook, WebhookId};
use crate::error::{Error, Result, reason};
use crate::operations::{Context, RequestContext};
use crate::storage::change;
use crate::storage::{events, webhooks};
use crate::webhooks::Secret;

#[derive(Debug, Clone)]
pub struct CreateWebhook {
    /// `None`: the deployment.
    pub organization: Option<OrganizationId>,
    pub url: String,
    pub description: String,
    /// Empty: all types.
    pub event_types: Vec<String>,
}

/// Creates an endpoint, which gets the events from now on. Needs an admin of its organization; for
/// an endpoint of the deployment, an operator.
pub async fn create_webhook(
    cx: &Context,
    call: &RequestContext,
    input: CreateWebhook,
) -> Result<WithSecret> {
    to_read(cx, call, input.organization).await?;
    let url = cx.webhooks.targets().parse(&input.url).map_err(|e| Error::invalid("url", e.0))?;
    let now = cx.now();
    let webhook = Webhook {
        id: WebhookId::generate(now),
        organization: input.organization,
        url: url.into(),
        description: input.description,
        event_types: input.event_types,
        disabled: None,
        first_failure_at: None,
        previous_secret_ends_at: None,
        created_at: now,
        updated_at: now,
    };
    let secret = Secret::generate()?;
    let sealed = seal(&cx.keyring, webhook.id, &secret)?;
    // Read before the change, so that the endpoint misses nothing that is committed later.
    let cursor = events::newest(cx.store.read()).await?.map(|event| event.place);
    let max = cx.rules.max_webhooks;
    let (call, new) = (call.clone(), webhook.clone());
    let created = change!(async move |tx| {
        let owner = Owner::to_change(tx, &call, new.organization, now).await?;
        if let Some(organization) = new.organization
            && webhooks::count_of(tx, organization).await? >= max
        {
            let what = format!("the organization has {max} webhooks already; delete one first");
            return Err(Error::precondition(reason::WEBHOOK_LIMIT, what));
        }
        webhooks::insert(tx, &new, sealed.clone(), cursor).await?;
        owner.record(tx, Action::WebhookCreated, &new, Vec::new(), &call.actor(), now).await
    });
    write(cx, webhook.organization, created).await?;
    cx.webhook_wakeup.notify_one();
    Ok(WithSecret { webhook, secret })
}
