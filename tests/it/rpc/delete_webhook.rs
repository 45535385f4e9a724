use crate::everywhere;
use crate::support::{Code, TestApp, own};
use crate::webhooks::{Endpoint, Reply, eventually, of};

everywhere! {
    async fn a_deleted_webhook_receives_no_more_events(app: TestApp) {
        let org = app.organization().await;
        let (first, second) = (Endpoint::start().await, Endpoint::start().await);
        first.otherwise(Reply::Status(500, "", ""));
        app.settle().await;
        let (webhook, _) = org.admin.webhook(&org.id, &first.url).await.unwrap();
        let (other, _) = org.admin.webhook(&org.id, &second.url).await.unwrap();
        first.next().await;
        eventually("the delivery has failed", async || {
            !org.admin.deliveries(&webhook).await.unwrap().is_empty()
        })
        .await;
        let (organization_id, webhook_id) = of(&webhook);
        let request = own::DeleteWebhookRequest { organization_id, webhook_id };
        org.admin.delete_webhook(request.clone()).await.unwrap();
        assert_eq!(org.admin.delete_webhook(request).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.admin.webhook_by_id(&webhook).await.unwrap_err().code, Code::NotFound);
        let waiting = app.database.count("SELECT count(*) FROM webhook_deliveries").await;
        assert_eq!(waiting, 0);
        // The other webhook receives the event.
        let received = second.next_of("webhook.deleted").await;
        assert_eq!(received.json()["data"]["webhook"]["webhookId"], webhook.id.as_str());
        org.admin.webhook_by_id(&other).await.unwrap();
    }
}
