//! A server that stops after it sends an event and before it stores the result.

use std::time::Duration;

use super::{Endpoint, Reply, eventually};
use crate::support::{Engine, Protocol, TestApp};

async fn behaviour(engine: Engine) {
    let app = TestApp::start(engine, Protocol::Grpc).await;
    let org = app.organization().await;
    let endpoint = Endpoint::start().await;
    app.settle().await;
    let (webhook, secret) = org.admin.webhook(&org.id, &endpoint.url).await.unwrap();
    endpoint.next_of("webhook.created").await;
    endpoint.otherwise(Reply::Hang);
    let first = org.admin.link(&org.id, "read").await.unwrap();
    let sent = endpoint.next().await;
    assert_eq!(sent.json()["data"]["invite"]["inviteId"], first.id.as_str());

    // The request is in flight, and its result is never stored.
    let app = app.restart().await;
    endpoint.otherwise(Reply::Status(200, "", ""));
    let org_admin = org.admin.at(app.addr());
    let second = org_admin.link(&org.id, "read").await.unwrap();
    assert!(endpoint.arrived().await.is_empty(), "the claim is still valid");
    app.clock.advance(Duration::from_secs(120));
    let again = endpoint.next().await;
    let next = endpoint.next().await;
    let mut arrived = [again, next];
    arrived.sort_by_key(|request| request.header("webhook-id") != sent.header("webhook-id"));
    let [again, next] = arrived;
    assert_eq!(again.header("webhook-id"), sent.header("webhook-id"));
    assert_eq!(again.body, sent.body);
    assert!(again.is_signed_by(&secret));
    assert_eq!(next.json()["data"]["invite"]["inviteId"], second.id.as_str());
    // From here on no event is sent twice.
    let third = org_admin.link(&org.id, "read").await.unwrap();
    let last = endpoint.next().await;
    assert_eq!(last.json()["data"]["invite"]["inviteId"], third.id.as_str());
    eventually("nothing waits", async || org_admin.deliveries(&webhook).await.unwrap().is_empty())
        .await;
    app.stop().await;
}

mod an_event_whose_result_was_not_stored_is_sent_again {
    use super::{Engine, behaviour};

    #[tokio::test(flavor = "multi_thread")]
    async fn sqlite() {
        behaviour(Engine::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres() {
        behaviour(Engine::Postgres).await;
    }
}

/// Two servers on one store: each event arrives, and none is sent by both.
mod each_event_is_sent_by_only_one_replica {
    use super::*;
    use crate::support::run;

    #[test]
    fn postgres() {
        run(Engine::Postgres, Protocol::Grpc, async |app: &TestApp| {
            let replica = app.replica().await;
            let org = app.organization().await;
            let endpoint = Endpoint::start().await;
            app.settle().await;
            org.admin.webhook(&org.id, &endpoint.url).await.unwrap();
            endpoint.next_of("webhook.created").await;
            let elsewhere = org.admin.at(replica);
            let mut missing = std::collections::HashSet::new();
            for _ in 0..20 {
                missing.insert(org.admin.link(&org.id, "read").await.unwrap().id);
                missing.insert(elsewhere.link(&org.id, "read").await.unwrap().id);
            }
            let mut requests = 0;
            while !missing.is_empty() {
                let request = endpoint.next().await;
                requests += 1;
                missing.remove(request.json()["data"]["invite"]["inviteId"].as_str().unwrap());
            }
            requests += endpoint.arrived().await.len();
            assert_eq!(requests, 40, "no event is sent by both servers");
        });
    }
}
