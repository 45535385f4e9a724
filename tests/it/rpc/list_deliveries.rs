use guestlist::clock::Clock;
use guestlist::storage::change;
use guestlist::storage::webhook_deliveries::{self, FailedAttempt, NewDelivery};

use crate::everywhere;
use crate::support::{Code, TestApp, own};
use crate::webhooks::{Endpoint, of};

everywhere! {
    async fn pages_contain_each_delivery_once_and_only_operators_see_answers(app: TestApp) {
        let org = app.organization().await;
        let endpoint = Endpoint::start().await;
        app.settle().await;
        let (webhook, _) = org.admin.webhook(&org.id, &endpoint.url).await.unwrap();
        let (id, now) = (webhook.id.parse().unwrap(), app.clock.now());
        let waiting = (0..5).map(|i| NewDelivery {
            event: guestlist::domain::AuditEventId::generate(now),
            event_type: "member.left".into(),
            failed: Some(FailedAttempt {
                at: now,
                next_at: now.plus(std::time::Duration::from_secs(3600)),
                status: (i > 0).then_some(500),
                reason: "no".into(),
                answer: "from the inside".into(),
            }),
        });
        let waiting: Vec<NewDelivery> = waiting.collect();
        let events: Vec<String> = waiting.iter().map(|one| one.event.to_string()).collect();
        let insert = change!(async move |tx| {
            webhook_deliveries::insert(tx, id, waiting.clone(), now).await
        });
        app.store().write(insert).await.unwrap();

        let operator = app.operator().await;
        for (who, answer) in [(&org.admin, ""), (&operator, "from the inside")] {
            let (mut listed, mut page_token) = (Vec::new(), String::new());
            loop {
                let (organization_id, webhook_id) = of(&webhook);
                let page = Some(own::PageRequest { page_size: 2, page_token });
                let request = own::ListDeliveriesRequest { organization_id, webhook_id, page };
                let response = who.list_deliveries(request).await.unwrap();
                assert!(response.deliveries.len() <= 2);
                assert!(response.deliveries.iter().all(|one| one.answer == answer && one.attempts == 1));
                listed.extend(response.deliveries.into_iter().map(|one| one.event_id));
                page_token = response.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            assert_eq!(listed, events);
        }
        assert_eq!(org.stranger.deliveries(&webhook).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.member.deliveries(&webhook).await.unwrap_err().code, Code::PermissionDenied);
        let other = app.organization().await;
        let elsewhere = own::Webhook { organization_id: other.id.clone(), ..webhook };
        for who in [&other.admin, &operator] {
            assert_eq!(who.deliveries(&elsewhere).await.unwrap_err().code, Code::NotFound);
        }
    }
}
