use crate::everywhere;
use crate::support::{TestApp, own};
use crate::webhooks::{Endpoint, Reply, of};

everywhere! {
    async fn a_test_event_returns_the_response_of_the_endpoint(app: TestApp) {
        let org = app.organization().await;
        let endpoint = Endpoint::start().await;
        app.settle().await;
        let (webhook, secret) = org.admin.webhook(&org.id, &endpoint.url).await.unwrap();
        endpoint.next_of("webhook.created").await;
        let (organization_id, webhook_id) = of(&webhook);
        let request = own::SendTestRequest { organization_id, webhook_id };
        let tested = org.admin.send_test(request.clone()).await.unwrap();
        assert_eq!((tested.accepted, tested.status, tested.reason.as_str()), (true, 200, ""));
        let sent = endpoint.next().await;
        assert_eq!(sent.event_type(), "webhook.test");
        assert!(sent.is_signed_by(&secret));
        assert_eq!(sent.json()["data"]["webhook"]["webhookId"], webhook.id.as_str());
        assert_eq!(sent.json()["data"]["organizationId"], org.id.as_str());

        endpoint.plan([Reply::Status(418, "", "from the inside")]);
        let tested = org.admin.send_test(request).await.unwrap();
        assert_eq!((tested.accepted, tested.status), (false, 418));
        assert_eq!((tested.reason.as_str(), tested.answer.as_str()), ("the answer has an error status", ""));
        let operator = app.operator().await;
        // The operator's webhook also gets other events, so it has its own endpoint.
        let elsewhere = Endpoint::start().await;
        elsewhere.otherwise(Reply::Status(418, "", "from the inside"));
        let (global, _) = operator.webhook("", &elsewhere.url).await.unwrap();
        let (organization_id, webhook_id) = of(&global);
        let request = own::SendTestRequest { organization_id, webhook_id };
        assert_eq!(operator.send_test(request).await.unwrap().answer, "from the inside");
        // A test stores no delivery and no event.
        assert_eq!(org.admin.deliveries(&webhook).await.unwrap(), []);
        let events = org.admin.audit(&org.id).await.unwrap();
        assert!(events.iter().all(|event| event.action != "webhook.test"));
    }
}
