use serde_json::json;

use super::{Endpoint, Reply, eventually, of};
use crate::support::client::DESCRIPTORS;
use crate::support::{TestApp, own};
use crate::{everywhere, on_both_engines};

everywhere! {
    async fn an_event_arrives_signed_and_with_the_headers_of_both_standards(app: TestApp) {
        let org = app.organization().await;
        let endpoint = Endpoint::start().await;
        app.settle().await;
        let (webhook, secret) = org.admin.webhook(&org.id, &endpoint.url).await.unwrap();
        let created = endpoint.next_of("webhook.created").await;
        assert_eq!(created.json()["data"]["webhook"]["webhookId"], webhook.id.as_str());

        org.member.end(&org.member_id).await.unwrap();
        let request = endpoint.next().await;
        assert!(request.is_signed_by(&secret));
        assert!(!request.is_signed_by("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        assert_eq!(request.path, "/hooks");
        let json = request.json();
        let data = &json["data"];
        assert_eq!(json["type"], "member.left");
        assert_eq!(json["timestamp"], data["time"]);
        assert_eq!(json.as_object().unwrap().len(), 3);
        assert_eq!(data["type"], "member.left");
        assert_eq!(data["organizationId"], org.id.as_str());
        assert_eq!(data["member"]["memberId"], org.member_id.as_str());
        assert_eq!(data["member"]["status"], "left");
        let id = data["id"].as_str().unwrap();
        for (name, value) in [
            ("content-type", "application/json"),
            ("webhook-id", id),
            ("ce-specversion", "1.0"),
            ("ce-id", id),
            ("ce-source", "guestlist"),
            ("ce-type", "member.left"),
            ("ce-time", json["timestamp"].as_str().unwrap()),
        ] {
            assert_eq!(request.header(name), value, "{name}");
        }
        assert!(request.header("user-agent").starts_with("guestlist/"));
        let text = String::from_utf8(request.body).unwrap().to_lowercase();
        assert!(!text.contains("ben@") && !text.contains("acme"), "no address, no name: {text}");
        assert_eq!(org.admin.deliveries(&webhook).await.unwrap(), []);
    }
}

on_both_engines! {
    async fn a_delivered_event_equals_the_event_in_the_feed(app: TestApp) {
        let org = app.organization().await;
        let endpoint = Endpoint::start().await;
        app.settle().await;
        org.admin.webhook(&org.id, &endpoint.url).await.unwrap();
        endpoint.next_of("webhook.created").await;
        let link = org.admin.link(&org.id, "read").await.unwrap();
        let sent = endpoint.next_of("invite.created").await.json();
        let feed = own::ListEventsRequest {
            organization_id: org.id.clone(),
            start_time: Some(prost_types::Timestamp::default()),
            types: vec!["invite.created".into()],
            ..Default::default()
        };
        let events = org.admin.list_events(feed).await.unwrap().events;
        let event = events.last().unwrap();
        let message = DESCRIPTORS
            .get_message_by_name("guestlist.v1.Event")
            .unwrap();
        let parsed: prost_reflect::DynamicMessage =
            prost_reflect::DynamicMessage::deserialize(message, &sent["data"]).unwrap();
        assert_eq!(parsed.transcode_to::<own::Event>().unwrap(), *event);
        assert!(!sent.to_string().contains(&link.token));
    }

    async fn a_webhook_receives_only_its_types_and_its_organization(app: TestApp) {
        let (org, other) = (app.organization().await, app.organization().await);
        let (some, all) = (Endpoint::start().await, Endpoint::start().await);
        let request = own::CreateWebhookRequest {
            organization_id: org.id.clone(),
            url: some.url.clone(),
            event_types: vec!["invite.revoked".into(), "member.left".into()],
            ..Default::default()
        };
        app.settle().await;
        org.admin.create_webhook(request).await.unwrap();
        let operator = app.operator().await;
        operator.webhook("", &all.url).await.unwrap();
        all.next_of("webhook.created").await;

        let link = other.admin.link(&other.id, "read").await.unwrap();
        other.admin.revoke(&other.id, &link.id).await.unwrap();
        let link = org.admin.link(&org.id, "read").await.unwrap();
        org.admin.revoke(&org.id, &link.id).await.unwrap();
        app.person("new").await;
        let first = some.next().await.json();
        assert_eq!((&first["type"], &first["data"]["organizationId"]), (&json!("invite.revoked"), &json!(org.id)));
        org.member.end(&org.member_id).await.unwrap();
        assert_eq!(some.next().await.event_type(), "member.left");
        assert!(some.arrived().await.is_empty());

        let mut wanted = std::collections::HashSet::from([
            ("invite.created".to_owned(), other.id.clone()),
            ("invite.revoked".to_owned(), other.id.clone()),
            ("invite.created".to_owned(), org.id.clone()),
            ("invite.revoked".to_owned(), org.id.clone()),
            ("member.left".to_owned(), org.id.clone()),
            ("account.created".to_owned(), String::new()),
        ]);
        while !wanted.is_empty() {
            let event = all.next().await.json();
            let organization = event["data"]["organizationId"].as_str().unwrap().to_owned();
            wanted.remove(&(event["type"].as_str().unwrap().to_owned(), organization));
        }
    }

    async fn a_hanging_endpoint_does_not_delay_other_webhooks(app: TestApp) {
        let (hanging, healthy) = (Endpoint::start().await, Endpoint::start().await);
        hanging.otherwise(Reply::Hang);
        let org = app.organization().await;
        app.settle().await;
        for _ in 0..8 {
            org.admin.webhook(&org.id, &hanging.url).await.unwrap();
        }
        hanging.next().await;
        org.admin.webhook(&org.id, &healthy.url).await.unwrap();
        healthy.next_of("webhook.created").await;
        let started = std::time::Instant::now();
        for _ in 0..3 {
            org.admin.link(&org.id, "read").await.unwrap();
            healthy.next_of("invite.created").await;
        }
        let took = started.elapsed();
        assert!(took < std::time::Duration::from_secs(14), "a hanging request delays it: {took:?}");
        hanging.let_go();
    }

    async fn many_events_all_arrive(app: TestApp) {
        let endpoint = Endpoint::start().await;
        let org = app.organization().await;
        app.settle().await;
        let (webhook, secret) = org.admin.webhook(&org.id, &endpoint.url).await.unwrap();
        endpoint.next_of("webhook.created").await;
        let links = (0..150).map(|_| org.admin.link(&org.id, "read"));
        let links = futures::future::try_join_all(links).await.unwrap();
        let mut missing: std::collections::HashSet<String> =
            links.into_iter().map(|link| link.id).collect();
        while !missing.is_empty() {
            let request = endpoint.next().await;
            assert!(request.is_signed_by(&secret));
            missing.remove(request.json()["data"]["invite"]["inviteId"].as_str().unwrap());
        }
        eventually("nothing waits", async || {
            org.admin.deliveries(&webhook).await.unwrap().is_empty()
        })
        .await;
    }

    async fn a_webhook_has_at_most_four_requests_at_a_time(app: TestApp) {
        let endpoint = Endpoint::start().await;
        let org = app.organization().await;
        app.settle().await;
        let (webhook, _) = org.admin.webhook(&org.id, &endpoint.url).await.unwrap();
        endpoint.next_of("webhook.created").await;
        let (organization_id, webhook_id) = of(&webhook);
        let disable = own::DisableWebhookRequest { organization_id, webhook_id };
        org.admin.disable_webhook(disable).await.unwrap();
        for _ in 0..10 {
            org.admin.link(&org.id, "read").await.unwrap();
        }
        endpoint.otherwise(Reply::Hang);
        let (organization_id, webhook_id) = of(&webhook);
        let enable = own::EnableWebhookRequest { organization_id, webhook_id };
        org.admin.enable_webhook(enable).await.unwrap();
        for _ in 0..4 {
            endpoint.next().await;
        }
        endpoint.let_go();
        for _ in 4..10 {
            endpoint.next().await;
        }
        assert_eq!(endpoint.most_at_once(), 4);
    }
}
