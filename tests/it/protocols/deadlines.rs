//! A caller's deadline ends a call that waits, such as for the store's lock.

use std::time::{Duration, Instant};

use futures::future::join_all;
use sea_orm::ConnectionTrait;
use serde_json::json;

use super::fixture::Fixture;
use super::request::TestRequest;
use super::transport::Transport;
use super::{rpc, with_app};
use crate::support::Code;

const DEADLINE: Duration = Duration::from_millis(300);

#[test]
fn a_call_that_waits_for_the_store_ends_at_its_deadline() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let held = app.database.connect().await;
        held.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
        let request = json!({"inviteId": fixture.token});
        let calls = Transport::ALL.map(|transport| {
            let call = TestRequest::new(transport, rpc::JOIN, &request).by(&fixture.org.stranger);
            let millis = DEADLINE.as_millis().to_string();
            let call = match transport.is_framed() {
                true => call.with("grpc-timeout", &format!("{millis}m")),
                false => call.with("connect-timeout-ms", &millis),
            };
            async move {
                let started = Instant::now();
                let answer = call.once(app).await;
                (transport, started.elapsed(), transport.read(rpc::JOIN, &answer))
            }
        });
        for (transport, took, answer) in join_all(calls).await {
            let failure = answer.unwrap_err();
            assert_eq!(failure.code, Code::DeadlineExceeded, "{transport:?}");
            // The other timeouts are longer: 10 s for the lock, 15 s for a request.
            assert!((DEADLINE..Duration::from_secs(8)).contains(&took), "{transport:?} {took:?}");
        }
        held.execute_unprepared("ROLLBACK").await.unwrap();
        held.close().await.unwrap();

        fixture.assert_unchanged().await;
        fixture.org.stranger.join(&fixture.token).await.expect("the store is no longer locked");
    });
}
