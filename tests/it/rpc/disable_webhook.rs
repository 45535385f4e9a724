use crate::everywhere;
use crate::support::{TestApp, own};
use crate::webhooks::{Endpoint, of};

everywhere! {
    async fn a_disabled_webhook_receives_no_events(app: TestApp) {
        let org = app.organization().await;
        let (off, on) = (Endpoint::start().await, Endpoint::start().await);
        app.settle().await;
        let (webhook, _) = org.admin.webhook(&org.id, &off.url).await.unwrap();
        off.next_of("webhook.created").await;
        org.admin.webhook(&org.id, &on.url).await.unwrap();
        let (organization_id, webhook_id) = of(&webhook);
        let request = own::DisableWebhookRequest { organization_id, webhook_id };
        for _ in 0..2 {
            let disabled = org.admin.disable_webhook(request.clone()).await.unwrap().webhook.unwrap();
            assert!(!disabled.enabled && disabled.disable_time.is_some());
            assert_eq!(disabled.disabled_reason, "REQUESTED");
        }
        let received = on.next_of("webhook.disabled").await;
        let data = &received.json()["data"]["webhook"];
        assert_eq!((&data["enabled"], &data["disabledReason"]), (&false.into(), &"REQUESTED".into()));
        off.arrived().await;
        org.member.end(&org.member_id).await.unwrap();
        on.next_of("member.left").await;
        assert!(off.arrived().await.is_empty());
        let disabled: Vec<_> = org.admin.audit(&org.id).await.unwrap();
        let disabled = disabled.iter().filter(|event| event.action == "webhook.disabled");
        assert_eq!(disabled.count(), 1, "two calls write one event");
    }
}
