//! `guestlist.v1.WebhookService/RotateSecret`

use std::time::Duration;

use super::owner::{Owner, WebhookRef, write};
use super::secrets::{WithSecret, seal};
use crate::domain::Action;
use crate::error::Result;
use crate::operations::{Context, RequestContext};
use crate::storage::change;
use crate::storage::webhooks;
use crate::webhooks::Secret;

/// How long requests are signed with the previous secret, too.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

/// Gives an endpoint a new secret. Needs an admin of its organization; for an endpoint of the
/// deployment, an operator.
pub async fn rotate_secret(
    cx: &Context,
    call: &RequestContext,
    of: WebhookRef,
) -> Result<WithSecret> {
    let now = cx.now();
    let secret = Secret::generate()?;
    let sealed = seal(&cx.keyring, of.id, &secret)?;
    let call = call.clone();
    let rotated = change!(async move |tx| {
        let (owner, mut webhook, before) = Owner::and_webhook(tx, &call, of, now).await?;
        let ends = now.plus(OVERLAP);
        webhooks::set_secret(tx, webhook.id, sealed.clone(), (before.current, ends), now).await?;
        webhook.previous_secret_ends_at = Some(ends);
        webhook.updated_at = now;
        owner
            .record(tx, Action::WebhookUpdated, &webhook, vec!["secret"], &call.actor(), now)
            .await?;
        Ok(webhook)
    });
    let webhook = write(cx, of.organization, rotated).await?;
    Ok(WithSecret { webhook, secret })
}
