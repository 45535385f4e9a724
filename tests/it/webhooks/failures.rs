use std::time::Duration;

use guestlist::clock::Clock;
use guestlist::storage::change;
use guestlist::storage::webhook_deliveries::{self, FailedAttempt, NewDelivery};

use super::{Endpoint, Reply, eventually, of};
use crate::on_both_engines;
use crate::support::{Organization, Person, TestApp, own};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An organization whose webhook has received its first event.
async fn with_webhook(app: &TestApp) -> (Organization, Endpoint, own::Webhook) {
    let org = app.organization().await;
    let endpoint = Endpoint::start().await;
    app.settle().await;
    let (webhook, _) = org.admin.webhook(&org.id, &endpoint.url).await.unwrap();
    endpoint.next_of("webhook.created").await;
    (org, endpoint, webhook)
}

/// Waits until the first waiting delivery has this many failed attempts; returns it.
async fn failed(who: &Person, webhook: &own::Webhook, attempts: i32) -> own::WebhookDelivery {
    eventually("an attempt has failed", async || {
        let waiting = who.deliveries(webhook).await.unwrap();
        waiting.first().is_some_and(|one| one.attempts >= attempts)
    })
    .await;
    who.deliveries(webhook).await.unwrap().remove(0)
}

/// Makes an event and waits until another webhook of the same organization has received it: by
/// then the worker has also processed the organization's other webhooks.
async fn other_gets_an_event(org: &Organization, other: &Endpoint) {
    other.arrived().await;
    let link = org.admin.link(&org.id, "read").await.unwrap().id;
    loop {
        let request = other.next_of("invite.created").await;
        if request.json()["data"]["invite"]["inviteId"] == link.as_str() {
            return;
        }
    }
}

/// The seconds from the last attempt to the next one.
fn pause(delivery: &own::WebhookDelivery) -> f64 {
    let seconds = |at: &Option<prost_types::Timestamp>| {
        let at = at.as_ref().unwrap();
        at.seconds as f64 + f64::from(at.nanos) / 1e9
    };
    seconds(&delivery.next_attempt_time) - seconds(&delivery.last_attempt_time)
}

on_both_engines! {
    async fn a_failed_event_is_retried_and_only_operators_see_the_response(app: TestApp) {
        let (org, endpoint, webhook) = with_webhook(app).await;
        endpoint.otherwise(Reply::Status(500, "", "from the inside"));
        org.admin.link(&org.id, "read").await.unwrap();
        let id = endpoint.next().await.header("webhook-id").to_owned();
        let operator = app.operator().await;
        for (attempt, middle) in [(1, 5.0), (2, 300.0), (3, 1800.0), (4, 7200.0)] {
            let delivery = failed(&org.admin, &webhook, attempt).await;
            assert_eq!((&delivery.event_id, delivery.event_type.as_str()), (&id, "invite.created"));
            assert_eq!((delivery.attempts, delivery.status), (attempt, 500));
            assert_eq!(delivery.reason, "the answer has an error status");
            let pause = pause(&delivery);
            assert!((middle * 0.8 - 0.1..=middle * 1.2 + 0.1).contains(&pause), "{attempt}: {pause}");
            assert_eq!(delivery.answer, "", "admins do not get the response body");
            let shown = operator.deliveries(&webhook).await.unwrap().remove(0);
            assert_eq!(shown.answer, "from the inside");
            if attempt < 4 {
                app.clock.advance(Duration::from_secs_f64(pause.max(360.0)));
                assert_eq!(endpoint.next().await.header("webhook-id"), id);
            }
        }
        let before = org.admin.webhook_by_id(&webhook).await.unwrap();
        assert!(before.enabled && before.first_failure_time.is_some());
        endpoint.otherwise(Reply::Status(204, "", ""));
        app.clock.advance(Duration::from_secs(9000));
        assert_eq!(endpoint.next().await.header("webhook-id"), id);
        eventually("it is accepted", async || {
            org.admin.deliveries(&webhook).await.unwrap().is_empty()
                && org.admin.webhook_by_id(&webhook).await.unwrap().first_failure_time.is_none()
        })
        .await;
        let link = org.admin.link(&org.id, "read").await.unwrap().id;
        assert_eq!(endpoint.next().await.json()["data"]["invite"]["inviteId"], link.as_str());
    }

    async fn a_failing_event_does_not_delay_other_events(app: TestApp) {
        let (org, endpoint, webhook) = with_webhook(app).await;
        endpoint.plan([Reply::HeadOnly(500)]);
        org.admin.link(&org.id, "read").await.unwrap();
        endpoint.next().await;
        failed(&org.admin, &webhook, 1).await;
        org.member.end(&org.member_id).await.unwrap();
        app.clock.advance(Duration::from_secs(10));
        // Both events arrive, in any order.
        let mut types = vec![endpoint.next().await.event_type(), endpoint.next().await.event_type()];
        types.sort();
        assert_eq!(types, ["invite.created", "member.left"]);
    }

    async fn redirects_are_not_followed(app: TestApp) {
        let (org, endpoint, webhook) = with_webhook(app).await;
        let elsewhere = Endpoint::start().await;
        let location: &'static str =
            Box::leak(format!("location: {}\r\n", elsewhere.url).into_boxed_str());
        endpoint.plan([301, 302, 303, 307, 308].map(|status| Reply::Status(status, location, "")));
        for attempt in 1..=5 {
            if attempt == 1 {
                org.admin.link(&org.id, "read").await.unwrap();
            } else {
                app.clock.advance(DAY / 4);
            }
            endpoint.next().await;
            let delivery = failed(&org.admin, &webhook, attempt).await;
            assert_eq!(delivery.reason, "the answer is a redirect");
        }
        assert!(elsewhere.arrived().await.is_empty());
    }

    async fn a_status_of_410_disables_the_webhook(app: TestApp) {
        let (org, endpoint, webhook) = with_webhook(app).await;
        endpoint.plan([Reply::Status(410, "", "")]);
        org.admin.link(&org.id, "read").await.unwrap();
        endpoint.next().await;
        eventually("it is disabled", async || {
            !org.admin.webhook_by_id(&webhook).await.unwrap().enabled
        })
        .await;
        let disabled = org.admin.webhook_by_id(&webhook).await.unwrap();
        assert_eq!(disabled.disabled_reason, "GONE");
        let event = org.admin.audit(&org.id).await.unwrap().remove(0);
        assert_eq!((event.action.as_str(), &event.target_id), ("webhook.disabled", &webhook.id));
        assert_eq!(event.request_id, "webhooks");
        assert!(org.admin.deliveries(&webhook).await.unwrap()[0].next_attempt_time.is_none());
        // No event arrives until the webhook is enabled. Then all events arrive.
        org.member.end(&org.member_id).await.unwrap();
        app.clock.advance(DAY);
        let (organization_id, webhook_id) = of(&webhook);
        let enabled = own::EnableWebhookRequest { organization_id, webhook_id };
        let enabled = org.admin.enable_webhook(enabled).await.unwrap();
        assert_eq!(enabled.events_lost_before, None);
        let mut types = Vec::new();
        for _ in 0..4 {
            types.push(endpoint.next().await.event_type());
        }
        types.sort();
        assert_eq!(types, ["invite.created", "member.left", "webhook.disabled", "webhook.enabled"]);
    }

    async fn a_retry_after_header_is_respected(app: TestApp) {
        let (org, endpoint, webhook) = with_webhook(app).await;
        let healthy = Endpoint::start().await;
        app.settle().await;
        org.admin.webhook(&org.id, &healthy.url).await.unwrap();
        endpoint.next_of("webhook.created").await;
        for (status, lines, least, most) in [
            (429, "retry-after: 3600\r\n", 3600.0, 3601.0),
            (503, "retry-after: 7200\r\n", 7200.0, 7201.0),
            (429, "retry-after: 999999999\r\n", 86_400.0, 86_401.0),
        ] {
            endpoint.plan([Reply::Status(status, lines, "")]);
            org.admin.link(&org.id, "read").await.unwrap();
            endpoint.next().await;
            let delivery = failed(&org.admin, &webhook, 1).await;
            let pause = pause(&delivery);
            assert!((least..most).contains(&pause), "{pause}");
            // New events wait, too.
            org.admin.link(&org.id, "read").await.unwrap();
            app.clock.advance(Duration::from_secs(1800));
            other_gets_an_event(&org, &healthy).await;
            assert!(endpoint.arrived().await.is_empty());
            app.clock.advance(Duration::from_secs_f64(most));
            for _ in 0..3 {
                endpoint.next_of("invite.created").await;
            }
            eventually("all is accepted", async || {
                org.admin.deliveries(&webhook).await.unwrap().is_empty()
            })
            .await;
        }
    }

    async fn five_days_of_failures_disable_the_webhook(app: TestApp) {
        let (org, endpoint, webhook) = with_webhook(app).await;
        endpoint.otherwise(Reply::Status(500, "", ""));
        org.admin.link(&org.id, "read").await.unwrap();
        for attempt in 1.. {
            endpoint.next().await;
            eventually("the attempt is stored", async || {
                let waiting = org.admin.deliveries(&webhook).await.unwrap();
                waiting.first().is_some_and(|one| one.attempts >= attempt)
            })
            .await;
            let now = org.admin.webhook_by_id(&webhook).await.unwrap();
            let since = now.first_failure_time.unwrap().seconds;
            let passed = app.clock.now().as_seconds() - since;
            if passed >= 5 * 24 * 60 * 60 {
                break;
            }
            assert!(now.enabled, "too early: {passed} s");
            app.clock.advance(DAY + DAY / 4);
        }
        eventually("it is disabled", async || {
            !org.admin.webhook_by_id(&webhook).await.unwrap().enabled
        })
        .await;
        let disabled = org.admin.webhook_by_id(&webhook).await.unwrap();
        assert_eq!(disabled.disabled_reason, "FAILING");
        assert_eq!(org.admin.audit(&org.id).await.unwrap()[0].action, "webhook.disabled");

        endpoint.otherwise(Reply::Status(200, "", ""));
        endpoint.arrived().await;
        let (organization_id, webhook_id) = of(&webhook);
        let enabled = own::EnableWebhookRequest { organization_id, webhook_id };
        let enabled = org.admin.enable_webhook(enabled).await.unwrap().webhook.unwrap();
        assert!(enabled.enabled && enabled.first_failure_time.is_none());
        endpoint.next_of("invite.created").await;
        eventually("all is accepted", async || {
            org.admin.deliveries(&webhook).await.unwrap().is_empty()
        })
        .await;
    }

    async fn ten_thousand_waiting_events_pause_the_webhook(app: TestApp) {
        let (org, endpoint, webhook) = with_webhook(app).await;
        let (id, now) = (webhook.id.parse().unwrap(), app.clock.now());
        let waiting = (0..10_000).map(|_| NewDelivery {
            event: guestlist::domain::AuditEventId::generate(now),
            event_type: "member.left".into(),
            failed: Some(FailedAttempt {
                at: now,
                next_at: now.plus(300 * DAY),
                status: None,
                reason: String::new(),
                answer: String::new(),
            }),
        });
        let waiting: Vec<NewDelivery> = waiting.collect();
        let insert = change!(async move |tx| {
            webhook_deliveries::insert(tx, id, waiting.clone(), now).await
        });
        app.store().write(insert).await.unwrap();
        let healthy = Endpoint::start().await;
        app.settle().await;
        org.admin.webhook(&org.id, &healthy.url).await.unwrap();
        other_gets_an_event(&org, &healthy).await;
        assert!(endpoint.arrived().await.is_empty());
        let (organization_id, webhook_id) = of(&webhook);
        let replay = own::ReplayRequest {
            organization_id,
            webhook_id,
            start_time: Some(prost_types::Timestamp::default()),
            ..Default::default()
        };
        assert_eq!(org.admin.replay(replay).await.unwrap_err().reason, "WEBHOOK_BACKLOG");
        let connection = app.database.connect().await;
        sea_orm::ConnectionTrait::execute_unprepared(&connection, "DELETE FROM webhook_deliveries")
            .await
            .unwrap();
        connection.close().await.unwrap();
        // At its next turn the webhook continues with the events that it has not received.
        let link = org.admin.link(&org.id, "read").await.unwrap().id;
        let mut arrived = Vec::new();
        while arrived.len() < 2 {
            let json = endpoint.next_of("invite.created").await.json();
            arrived.push(json["data"]["invite"]["inviteId"].as_str().unwrap().to_owned());
        }
        assert!(arrived.contains(&link) && arrived[0] != arrived[1], "{arrived:?}");
    }
}
