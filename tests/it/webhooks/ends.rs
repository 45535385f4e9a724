use std::time::Duration;

use super::{Endpoint, Reply, eventually, of};
use crate::on_both_engines;
use crate::support::{TestApp, own};

async fn webhooks_of(app: &TestApp) -> i64 {
    app.database.count("SELECT count(*) FROM webhooks").await
}

on_both_engines! {
    async fn the_deletion_of_an_organization_is_delivered_before_its_webhooks_end(app: TestApp) {
        let org = app.organization().await;
        let (all, some, disabled) =
            (Endpoint::start().await, Endpoint::start().await, Endpoint::start().await);
        app.settle().await;
        org.admin.webhook(&org.id, &all.url).await.unwrap();
        let request = own::CreateWebhookRequest {
            organization_id: org.id.clone(),
            url: some.url.clone(),
            event_types: vec!["member.left".into()],
            ..Default::default()
        };
        app.settle().await;
        org.admin.create_webhook(request).await.unwrap();
        let (off, _) = org.admin.webhook(&org.id, &disabled.url).await.unwrap();
        let (organization_id, webhook_id) = of(&off);
        let disable = own::DisableWebhookRequest { organization_id, webhook_id };
        org.admin.disable_webhook(disable).await.unwrap();
        let other = app.organization().await;
        let kept = Endpoint::start().await;
        other.admin.webhook(&other.id, &kept.url).await.unwrap();
        // The requests arrive in any order.
        let mut before = Vec::new();
        for _ in 0..4 {
            before.push(all.next().await.event_type());
        }
        before.sort();
        let created = "webhook.created";
        assert_eq!(before, [created, created, created, "webhook.disabled"]);
        disabled.arrived().await;

        // The first attempt fails. The event is sent again after the organization is deleted.
        all.plan([Reply::Status(503, "", "")]);
        org.admin.delete(&org.id).await.unwrap();
        let first = all.next_of("organization.deleted").await;
        assert_eq!(first.json()["data"]["organization"]["organizationId"], org.id.as_str());
        eventually("the other ones end", async || webhooks_of(app).await == 2).await;
        // The time of the second attempt counts from when the failure is stored.
        eventually("the failure is stored", async || {
            let failed = "SELECT count(*) FROM webhook_deliveries WHERE status = 503";
            app.database.count(failed).await == 1
        })
        .await;
        app.clock.advance(Duration::from_secs(10));
        let second = all.next_of("organization.deleted").await;
        assert_eq!(second.header("webhook-id"), first.header("webhook-id"));
        eventually("it ends", async || webhooks_of(app).await == 1).await;
        assert_eq!(app.database.count("SELECT count(*) FROM webhook_deliveries").await, 0);
        assert!(some.arrived().await.is_empty() && disabled.arrived().await.is_empty());
    }

    async fn a_webhook_that_never_accepts_the_deletion_ends_after_five_days(app: TestApp) {
        let org = app.organization().await;
        let endpoint = Endpoint::start().await;
        app.settle().await;
        org.admin.webhook(&org.id, &endpoint.url).await.unwrap();
        endpoint.next_of("webhook.created").await;
        endpoint.otherwise(Reply::Status(500, "", ""));
        org.admin.delete(&org.id).await.unwrap();
        endpoint.next_of("organization.deleted").await;
        eventually("it goes", async || {
            app.clock.advance(Duration::from_secs(24 * 60 * 60));
            webhooks_of(app).await == 0
        })
        .await;
    }
}
