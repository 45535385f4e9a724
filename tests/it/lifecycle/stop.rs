use std::sync::Arc;
use std::time::Duration;

use sea_orm::ConnectionTrait;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::load::{Load, channel};
use super::{create, get, in_flight, on_both_engines, organizations, refuses_connections, until};
use crate::support::direct_connection::DirectConnection;
use crate::support::{Engine, Installation, Protocol};

/// A separate connection that holds a lock, so that every change waits until this connection is
/// closed.
async fn hold_changes(at: &Installation) -> DirectConnection {
    let db = at.database.connect().await;
    let statements: &[&str] = match at.database.engine {
        Engine::Sqlite => &["BEGIN IMMEDIATE"],
        Engine::Postgres => &["BEGIN", "LOCK TABLE organizations IN EXCLUSIVE MODE"],
    };
    for statement in statements {
        db.execute_unprepared(statement).await.unwrap();
    }
    db
}

on_both_engines! {
    async fn p34_under_load_every_call_is_answered_or_not_processed(at: Installation) {
        let server = at.serve();
        let load = Arc::new(Load::new(server.addr, at.new_key("ana@acme.com")));
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let client = load.client();
            for _ in 0..8 {
                let (load, client) = (Arc::clone(&load), client.clone());
                callers.spawn(async move { load.over_grpc(client).await });
            }
        }
        for _ in 0..24 {
            let (kept, new) = (Arc::clone(&load), Arc::clone(&load));
            callers.spawn(async move { kept.over_kept_connection().await });
            callers.spawn(async move { new.over_new_connections().await });
        }
        until("it is under load", async || load.answered().len() > 300).await;
        server.signal("TERM");
        while let Some(caller) = callers.join_next().await {
            caller.unwrap();
        }
        let ended = server.ended();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert_eq!(load.lost(), Vec::<String>::new());
        // Each change that was committed also got a response.
        let mut answered = load.answered();
        answered.sort();
        assert_eq!(organizations(at).await, answered);
    }

    async fn p34_a_stop_reports_not_ready_and_finishes_running_calls(at: Installation) {
        let server = at.serve_with(&[
            ("GUESTLIST_DATABASE__ACQUIRE_TIMEOUT", "60s"),
            ("GUESTLIST_DATABASE__MAX_CONNECTIONS", "16"),
        ]);
        let key = at.new_key("ana@acme.com");
        let mut watched = HealthClient::new(channel(server.addr));
        let watched = watched.watch(HealthCheckRequest::default()).await;
        let mut watched = watched.unwrap().into_inner();
        let mut health = async || watched.message().await.unwrap().map(|response| response.status());
        until("it is ready", async || health().await == Some(ServingStatus::Serving)).await;
        assert_eq!(get(&server, "/readyz").await.0, 200);

        let held = hold_changes(at).await;
        let before = in_flight(&server).await;
        let mut calls = tokio::task::JoinSet::new();
        for n in 0..8 {
            let mut ana = server.person(&key);
            ana.client.protocol = Protocol::ALL[n % Protocol::ALL.len()];
            calls.spawn(async move { create(&ana, &format!("organization {n}")).await });
        }
        until("all calls run", async || in_flight(&server).await == before + 8).await;

        server.signal("TERM");
        // The status may be NOT_SERVING earlier, because the database accepts no changes.
        let mut statuses = Vec::new();
        while let Some(status) = health().await {
            statuses.push(status);
        }
        // The server ends this watch, so an open watch does not delay the shutdown.
        assert!(!statuses.is_empty() && statuses.iter().all(|status| *status == ServingStatus::NotServing));
        until("new connections are refused", async || refuses_connections(&server).await).await;
        assert!(calls.try_join_next().is_none(), "they still run");

        held.close().await.unwrap();
        for answer in calls.join_all().await {
            answer.expect("the call was accepted, so it gets a response");
        }
        let ended = server.ended();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert_eq!(organizations(at).await.len(), 8);
    }

    async fn p34_a_stop_is_in_time_when_the_store_hangs(at: Installation) {
        let server = at.serve_with(&[("GUESTLIST_HTTP__DRAIN_TIMEOUT", "1s")]);
        let ana = server.person(&at.new_key("ana@acme.com"));
        let held = hold_changes(at).await;
        let before = in_flight(&server).await;
        let call = tokio::spawn(async move { create(&ana, "Acme").await });
        until("the call runs", async || in_flight(&server).await == before + 1).await;
        let ended = server.stop();
        assert!(call.await.unwrap().is_err(), "the call is cut off");
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        // On PostgreSQL, the connection of the call that was cut off may close in time.
        if at.database.engine == Engine::Sqlite {
            assert!(ended.err.contains("shutdown timed out"), "{}", ended.err);
        }
        assert!(ended.took < Duration::from_secs(10), "{:?}", ended.took);
        held.close().await.unwrap();
        assert_eq!(organizations(at).await.len(), 0);
    }

    async fn a_second_signal_ends_the_server_immediately(at: Installation) {
        let server = at.serve();
        let ana = server.person(&at.new_key("ana@acme.com"));
        let held = hold_changes(at).await;
        let before = in_flight(&server).await;
        let call = tokio::spawn(async move { create(&ana, "Acme").await });
        until("the call runs", async || in_flight(&server).await == before + 1).await;
        server.signal("INT");
        until("the server stops", async || refuses_connections(&server).await).await;
        server.signal("TERM");
        let ended = server.ended();
        assert_eq!(ended.code, Some(1));
        assert!(ended.err.contains("ended immediately"), "{}", ended.err);
        assert!(call.await.unwrap().is_err());
        held.close().await.unwrap();
    }

    async fn sigterm_and_sigint_stop_the_server_cleanly(at: Installation) {
        for name in ["TERM", "INT"] {
            let server = at.serve();
            server.signal(name);
            let ended = server.ended();
            assert_eq!(ended.code, Some(0), "{name}: {}", ended.err);
        }
    }
}
