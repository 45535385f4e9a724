//! A caller's deadline ends a call that waits, such as for the store's lock.

use std::time::{Duration, Instant};

use futures::future::join_all;
use sea_orm::ConnectionTrait;
use serde_json::json;

use super::fixture::Fixture;
use super::request::TestRequest;
use super::transport::Transport;
use super::{rpc, served};
use crate::support::Code;

const ASKED: Duration = Duration::from_millis(300);

#[test]
fn what_waits_for_the_store_is_ended_and_changes_nothing() {
    served(async |app| {
        let world = Fixture::new(app).await;
        let held = app.database.connect().await;
        held.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
        let request = json!({"inviteId": world.token});
        let calls = Transport::ALL.map(|transport| {
            let ask = TestRequest::new(transport, rpc::JOIN, &request).by(&world.org.stranger);
            let millis = ASKED.as_millis().to_string();
            let ask = match transport.is_framed() {
                true => ask.with("grpc-timeout", &format!("{millis}m")),
                false => ask.with("connect-timeout-ms", &millis),
            };
            async move {
                let begun = Instant::now();
                let answer = ask.once(app).await;
                (transport, begun.elapsed(), transport.read(rpc::JOIN, &answer))
            }
        });
        for (transport, took, answer) in join_all(calls).await {
            let failure = answer.unwrap_err();
            assert_eq!(failure.code, Code::DeadlineExceeded, "{transport:?}");
            // The other timeouts are longer: 10 s for the lock, 15 s for a request.
            assert!((ASKED..Duration::from_secs(8)).contains(&took), "{transport:?} {took:?}");
        }
        held.execute_unprepared("ROLLBACK").await.unwrap();
        held.close().await.unwrap();

        world.is_as_before().await;
        world.org.stranger.join(&world.token).await.expect("the store is no longer locked");
    });
}
