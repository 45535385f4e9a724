use std::time::Duration;

use crate::support::{Code, TestApp, own};
use crate::webhooks::{Endpoint, of};
use crate::{everywhere, on_both_engines};

fn replay(webhook: &own::Webhook) -> own::ReplayRequest {
    let (organization_id, webhook_id) = of(webhook);
    own::ReplayRequest { organization_id, webhook_id, ..Default::default() }
}

everywhere! {
    async fn a_single_event_can_be_sent_again(app: TestApp) {
        let (org, other) = (app.organization().await, app.organization().await);
        let endpoint = Endpoint::start().await;
        app.settle().await;
        let (webhook, secret) = org.admin.webhook(&org.id, &endpoint.url).await.unwrap();
        endpoint.next_of("webhook.created").await;
        org.admin.link(&org.id, "read").await.unwrap();
        let first = endpoint.next_of("invite.created").await;
        let event_id = first.header("webhook-id").to_owned();
        let request = own::ReplayRequest { event_id, ..replay(&webhook) };
        let replayed = org.admin.replay(request.clone()).await.unwrap();
        assert_eq!((replayed.events, replayed.next_page_token.as_str()), (1, ""));
        let again = endpoint.next().await;
        assert_eq!((again.header("webhook-id"), &again.body), (first.header("webhook-id"), &first.body));
        assert!(again.is_signed_by(&secret));

        // Events of another organization, and unknown events.
        let foreign = other.admin.audit(&other.id).await.unwrap().remove(0).id;
        for event_id in [foreign, uuid::Uuid::new_v4().to_string()] {
            let request = own::ReplayRequest { event_id, ..replay(&webhook) };
            assert_eq!(org.admin.replay(request).await.unwrap_err().code, Code::NotFound);
        }
        let nothing = org.admin.replay(replay(&webhook)).await.unwrap_err();
        assert_eq!(nothing.fields, ["start_time"]);
        let (organization_id, webhook_id) = of(&webhook);
        let disable = own::DisableWebhookRequest { organization_id, webhook_id };
        org.admin.disable_webhook(disable).await.unwrap();
        let failure = org.admin.replay(request).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "WEBHOOK_DISABLED"));
    }
}

on_both_engines! {
    async fn the_events_of_a_time_span_can_be_sent_again(app: TestApp) {
        let (org, other) = (app.organization().await, app.organization().await);
        let endpoint = Endpoint::start().await;
        let request = own::CreateWebhookRequest {
            organization_id: org.id.clone(),
            url: endpoint.url.clone(),
            event_types: vec!["invite.revoked".into()],
            ..Default::default()
        };
        app.settle().await;
        let webhook = org.admin.create_webhook(request).await.unwrap().webhook.unwrap();
        let revoke = async |org: &crate::support::Organization| {
            let link = org.admin.link(&org.id, "read").await.unwrap();
            org.admin.revoke(&org.id, &link.id).await.unwrap();
        };
        let moment = |app: &TestApp| app.in_the_future(Duration::ZERO);
        revoke(&org).await;
        app.clock.advance(Duration::from_secs(600));
        let start_time = moment(app);
        for _ in 0..3 {
            revoke(&org).await;
            revoke(&other).await;
        }
        app.clock.advance(Duration::from_secs(600));
        let end_time = moment(app);
        revoke(&org).await;
        // Ids sort by time. The requests may arrive in another order, and one may arrive twice.
        let mut ids = std::collections::BTreeSet::new();
        while ids.len() < 5 {
            ids.insert(endpoint.next().await.header("webhook-id").to_owned());
        }
        let request = own::ReplayRequest { start_time, end_time, ..replay(&webhook) };
        let replayed = org.admin.replay(request.clone()).await.unwrap();
        assert_eq!((replayed.events, replayed.next_page_token.as_str()), (3, ""));
        let mut expected: std::collections::BTreeSet<_> = ids.into_iter().skip(1).take(3).collect();
        while !expected.is_empty() {
            expected.remove(endpoint.next().await.header("webhook-id"));
        }
        let open = own::ReplayRequest { end_time: None, ..request.clone() };
        assert_eq!(org.admin.replay(open).await.unwrap().events, 4);
        app.clock.advance(Duration::from_secs(91 * 24 * 60 * 60));
        assert_eq!(org.admin.replay(request).await.unwrap().events, 0, "the events are too old");
    }
}
