//! `guestlist.v1.WebhookService/DisableWebhook`

use uuid::Uuid;

use super::owner::{Owner, WebhookRef, write};
use crate::domain::{Action, Actor, Disabling, DisablingReason, Webhook};
use crate::error::Result;
use crate::operations::{Context, RequestContext};
use crate::storage::change;
use crate::storage::{Store, organizations, webhook_turns, webhooks};

/// Disables an endpoint. Needs an admin of its organization; for an endpoint of the deployment, an
/// operator.
pub async fn disable_webhook(
    cx: &Context,
    call: &RequestContext,
    of: WebhookRef,
) -> Result<Webhook> {
    let now = cx.now();
    let call = call.clone();
    let disabled = change!(async move |tx| {
        let (owner, mut webhook, _) = Owner::and_webhook(tx, &call, of, now).await?;
        if webhook.disabled.is_some() {
            return Ok(webhook);
        }
        let disabling = Disabling { at: now, reason: DisablingReason::Requested };
        webhooks::disable(tx, webhook.id, disabling).await?;
        webhook.disabled = Some(disabling);
        webhook.updated_at = now;
        owner.record(tx, Action::WebhookDisabled, &webhook, Vec::new(), &call.actor(), now).await?;
        Ok(webhook)
    });
    write(cx, of.organization, disabled).await
}

/// Disables an endpoint that a worker has claimed. If its organization is deleted, no caller can
/// enable the endpoint again, so it is deleted.
///
/// # Errors
/// If the store cannot be written.
pub async fn disable_working(
    store: &Store,
    of: WebhookRef,
    claimant: Uuid,
    disabling: Disabling,
) -> Result<()> {
    let disabled = change!(async move |tx| {
        // The organization is locked first, as in every change of it.
        let organization = match of.organization {
            Some(id) => organizations::lock(tx, id).await?,
            None => None,
        };
        let locked = webhooks::lock(tx, of.organization, of.id).await?;
        let Some((mut webhook, _)) = locked else { return Ok(()) };
        if !webhook_turns::is_held(tx, of.id, claimant).await? {
            return Ok(());
        }
        if of.organization.is_some() && organization.is_none() {
            return webhooks::delete(tx, of.id).await;
        }
        webhooks::disable(tx, of.id, disabling).await?;
        webhook.disabled = Some(disabling);
        let (owner, actor) = (Owner::of(organization), Actor::system("webhooks"));
        let action = Action::WebhookDisabled;
        owner.record(tx, action, &webhook, Vec::new(), &actor, disabling.at).await
    });
    store.write(disabled).await
}
