use std::time::Duration;

use crate::support::{TestApp, own};
use crate::webhooks::{Endpoint, Reply, eventually};
use crate::{everywhere, on_both_engines};

fn change(webhook: &own::Webhook) -> own::UpdateWebhookRequest {
    let (organization_id, webhook_id) = crate::webhooks::of(webhook);
    own::UpdateWebhookRequest { organization_id, webhook_id, ..Default::default() }
}

everywhere! {
    async fn given_fields_change_and_absent_fields_stay(app: TestApp) {
        let org = app.organization().await;
        let (webhook, _) = org.admin.webhook(&org.id, "http://127.0.0.1:9/a").await.unwrap();
        let request = own::UpdateWebhookRequest {
            url: Some("http://127.0.0.1:9/b".into()),
            event_types: Some(own::EventTypes { types: vec!["member.left".into()] }),
            ..change(&webhook)
        };
        let updated = org.admin.update_webhook(request.clone()).await.unwrap().webhook.unwrap();
        assert_eq!(updated.url, "http://127.0.0.1:9/b");
        assert_eq!((updated.description.as_str(), updated.event_types.len()), ("", 1));
        let event = org.admin.audit(&org.id).await.unwrap().remove(0);
        assert_eq!((event.action.as_str(), event.note.as_str()), ("webhook.updated", "url, event_types"));
        // A repeated request changes nothing.
        org.admin.update_webhook(request).await.unwrap();
        assert_eq!(org.admin.audit(&org.id).await.unwrap()[0].id, event.id);
        let request = own::UpdateWebhookRequest {
            event_types: Some(own::EventTypes::default()),
            description: Some("All".into()),
            ..change(&webhook)
        };
        let updated = org.admin.update_webhook(request).await.unwrap().webhook.unwrap();
        assert_eq!((updated.description.as_str(), updated.event_types.len()), ("All", 0));
        for url in ["", "http://192.168.0.1/", "javascript:x"] {
            let request = own::UpdateWebhookRequest { url: Some(url.into()), ..change(&webhook) };
            assert_eq!(org.admin.update_webhook(request).await.unwrap_err().fields, ["url"]);
        }
        assert_eq!(org.admin.webhook_by_id(&webhook).await.unwrap().url, "http://127.0.0.1:9/b");
    }
}

on_both_engines! {
    async fn a_waiting_delivery_is_sent_to_the_new_url(app: TestApp) {
        let org = app.organization().await;
        let (old, new) = (Endpoint::start().await, Endpoint::start().await);
        old.otherwise(Reply::Status(500, "", ""));
        app.settle().await;
        let (webhook, _) = org.admin.webhook(&org.id, &old.url).await.unwrap();
        old.next().await;
        eventually("the delivery has failed", async || {
            !org.admin.deliveries(&webhook).await.unwrap().is_empty()
        })
        .await;
        let request = own::UpdateWebhookRequest { url: Some(new.url.clone()), ..change(&webhook) };
        org.admin.update_webhook(request).await.unwrap();
        app.clock.advance(Duration::from_secs(3600));
        new.next_of("webhook.created").await;
    }
}
