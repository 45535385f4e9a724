use std::time::Duration;

use crate::support::{TestApp, own};
use crate::webhooks::{Endpoint, of};
use crate::{everywhere, on_both_engines};

fn disable(webhook: &own::Webhook) -> own::DisableWebhookRequest {
    let (organization_id, webhook_id) = of(webhook);
    own::DisableWebhookRequest { organization_id, webhook_id }
}

fn enable(webhook: &own::Webhook) -> own::EnableWebhookRequest {
    let (organization_id, webhook_id) = of(webhook);
    own::EnableWebhookRequest { organization_id, webhook_id }
}

everywhere! {
    async fn an_enabled_webhook_resumes_where_it_stopped(app: TestApp) {
        let org = app.organization().await;
        let endpoint = Endpoint::start().await;
        app.settle().await;
        let (webhook, _) = org.admin.webhook(&org.id, &endpoint.url).await.unwrap();
        endpoint.next_of("webhook.created").await;
        org.admin.disable_webhook(disable(&webhook)).await.unwrap();
        org.member.end(&org.member_id).await.unwrap();
        for _ in 0..2 {
            let enabled = org.admin.enable_webhook(enable(&webhook)).await.unwrap();
            assert_eq!(enabled.events_lost_before, None);
            let enabled = enabled.webhook.unwrap();
            assert!(enabled.enabled && enabled.disabled_reason.is_empty());
        }
        let mut types = Vec::new();
        while types.len() < 3 {
            let kind = endpoint.next().await.event_type();
            // Delivery is at least once: `webhook.created` may arrive again.
            if kind != "webhook.created" {
                types.push(kind);
            }
        }
        types.sort();
        assert_eq!(types, ["member.left", "webhook.disabled", "webhook.enabled"]);
    }
}

on_both_engines! {
    async fn enabling_a_webhook_reports_that_old_events_were_lost(app: TestApp) {
        let org = app.organization().await;
        let endpoint = Endpoint::start().await;
        app.settle().await;
        let (webhook, _) = org.admin.webhook(&org.id, &endpoint.url).await.unwrap();
        endpoint.next_of("webhook.created").await;
        org.admin.disable_webhook(disable(&webhook)).await.unwrap();
        org.admin.link(&org.id, "read").await.unwrap();
        app.clock.advance(Duration::from_secs(91 * 24 * 60 * 60));
        org.member.end(&org.member_id).await.unwrap();
        let enabled = org.admin.enable_webhook(enable(&webhook)).await.unwrap();
        assert!(enabled.events_lost_before.is_some());
        let mut types = vec![endpoint.next().await.event_type(), endpoint.next().await.event_type()];
        types.sort();
        assert_eq!(types, ["member.left", "webhook.enabled"], "older events are not sent");
    }
}
