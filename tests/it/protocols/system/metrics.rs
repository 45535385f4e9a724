//! `/metrics`: what it counts, and which clients may read it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use http::{Method, Version};
use serde_json::json;

use super::super::connection::{Answer, Connection};
use super::super::request::TestRequest;
use super::super::transport::{Form, Transport};
use super::super::{rpc, with_app};
use crate::support::{Engine, Protocol, TestApp, gitpod};
use crate::webhooks::eventually;

async fn get(addr: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Answer {
    let transport = Transport { form: Form::Json, version: Version::HTTP_11 };
    let call = TestRequest::raw(transport, path, "").without("content-type").verb(Method::GET);
    let call = headers.iter().fold(call, |call, (name, value)| call.with(name, value));
    call.send(&mut Connection::open(addr, Version::HTTP_11).await).await
}

/// Series and values of a scrape.
fn series(scrape: &Answer) -> BTreeMap<String, f64> {
    assert_eq!(scrape.status, 200);
    let expected = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(scrape.header("content-type"), Some(expected));
    let text = std::str::from_utf8(&scrape.body).unwrap();
    assert!(text.ends_with("# EOF\n"));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.map(|line| line.rsplit_once(' ').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
}

fn name(transport: Transport) -> &'static str {
    match transport.form {
        Form::Grpc | Form::GrpcJson => "grpc",
        Form::Web | Form::WebText | Form::WebJson | Form::WebTextJson => "grpc-web",
        Form::Proto | Form::Json => "connect",
    }
}

#[test]
fn every_request_is_counted_by_rpc_protocol_and_code() {
    with_app(async |app| {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        let before = series(&get(app.addr(), "/metrics", &[]).await);
        let mut expected: BTreeMap<(&str, &str, &str), u32> = BTreeMap::new();
        for transport in Transport::ALL {
            let by_id = json!({"organizationId": org.id});
            let good = || TestRequest::new(transport, rpc::GET, &by_id).by(&org.admin);
            let unknown_path = format!("/secret/{token}");
            for (call, route, protocol, code) in [
                (good(), rpc::GET, name(transport), "ok"),
                (good().by(&org.stranger), rpc::GET, name(transport), "not_found"),
                (good().without("authorization"), rpc::GET, name(transport), "unauthenticated"),
                (good().with("content-type", "text/plain"), rpc::GET, "connect", "unknown"),
                (
                    TestRequest::new(transport, rpc::GET, &json!({"organizationId": "x"}))
                        .by(&org.admin),
                    rpc::GET,
                    name(transport),
                    "invalid_argument",
                ),
                (
                    good().with("connect-timeout-ms", "0").with("grpc-timeout", "0n"),
                    rpc::GET,
                    name(transport),
                    "deadline_exceeded",
                ),
                (
                    good().path(&unknown_path),
                    "(unknown)",
                    if transport.is_framed() { name(transport) } else { "http" },
                    "unimplemented",
                ),
                (
                    good().path(&format!("/gitpod.v1.OrganizationService/{token}")),
                    "(unknown)",
                    name(transport),
                    "unimplemented",
                ),
            ] {
                call.once(app).await;
                *expected.entry((route, protocol, code)).or_default() += 1;
            }
        }
        let scrape = get(app.addr(), "/metrics", &[]).await;
        assert!(!scrape.contains(&token) && !scrape.contains("secret"));
        let after = series(&scrape);
        let increase = |name: &str| after[name] - before.get(name).copied().unwrap_or_default();
        let mut calls: BTreeMap<(&str, &str), u32> = BTreeMap::new();
        for ((rpc, protocol, code), count) in &expected {
            let labels = format!("rpc=\"{rpc}\",protocol=\"{protocol}\",code=\"{code}\"");
            let requests = format!("guestlist_requests_total{{{labels}}}");
            assert_eq!(increase(&requests), f64::from(*count), "{requests}");
            *calls.entry((rpc, protocol)).or_default() += count;
        }
        for ((rpc, protocol), count) in &calls {
            let labels = format!("rpc=\"{rpc}\",protocol=\"{protocol}\"");
            let counted = format!("guestlist_request_duration_seconds_count{{{labels}}}");
            assert_eq!(increase(&counted), f64::from(*count), "{counted}");
            let of_all =
                format!("guestlist_request_duration_seconds_bucket{{le=\"+Inf\",{labels}}}");
            assert_eq!(after[&of_all], after[&counted]);
            let sum = format!("guestlist_request_duration_seconds_sum{{{labels}}}");
            assert!(increase(&sum) > 0.0, "{sum}");
        }
        // The scrape itself is a running request.
        assert_eq!(after["guestlist_requests_in_flight"], 1.0);
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(after[&format!("guestlist_build_info{{version=\"{version}\"}}")], 1.0);
        let open = after["guestlist_store_connections_open"];
        assert!((1.0..=8.0).contains(&open), "{open}");
        assert!((0.0..=open).contains(&after["guestlist_store_connections_idle"]));
    });
}

#[test]
fn failed_and_waiting_webhook_deliveries_are_counted() {
    with_app(async |app| {
        let org = app.organization().await;
        // No server listens on this port.
        org.admin.webhook(&org.id, "http://127.0.0.1:9/").await.unwrap();
        eventually("the metrics count the failed delivery", async || {
            let scrape = series(&get(app.addr(), "/metrics", &[]).await);
            let of = |name: &str| scrape[&format!("guestlist_webhooks_{name}")];
            of("failed_total") >= 1.0 && of("waiting") == 1.0 && of("oldest_seconds") >= 0.0
        })
        .await;
    });
}

/// A client cannot create series with requests for unknown paths or with new values.
#[test]
fn the_number_of_series_is_bounded() {
    with_app(async |app| {
        let key = app.person("ana").await.key.unwrap();
        let transport = Transport { form: Form::Json, version: Version::HTTP_2 };
        let mut connection = transport.connect(app).await;
        let mut known = 0;
        for round in 0..50 {
            let bearer = format!("Bearer {key}");
            for path in [
                format!("/{round}"),
                format!("/{round}/{round}"),
                format!("/gitpod.v1.OrganizationService/{round}"),
                format!("{}?{round}", rpc::GET_CALLER),
                format!("/healthz?{round}"),
            ] {
                let call = TestRequest::raw(transport, &path, "{}").with("authorization", &bearer);
                let call = call.with("x-request-id", &format!("r-{round}"));
                call.with("user-agent", &format!("agent/{round}")).send(&mut connection).await;
            }
            get(app.addr(), "/metrics", &[]).await;
            if round == 0 {
                known = series(&get(app.addr(), "/metrics", &[]).await).len();
            }
        }
        assert_eq!(series(&get(app.addr(), "/metrics", &[]).await).len(), known);
    });
}

#[test]
fn metrics_are_served_only_to_direct_local_clients() {
    with_app(async |app| {
        assert_eq!(get(app.addr(), "/metrics", &[]).await.status, 200);
        for (header, value) in [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-host", "localhost"),
            ("x-forwarded-proto", "http"),
            ("forwarded", "for=127.0.0.1"),
            ("via", "1.1 proxy"),
            ("x-real-ip", "127.0.0.1"),
            ("cf-connecting-ip", "127.0.0.1"),
            ("true-client-ip", "127.0.0.1"),
            ("x-envoy-external-address", "127.0.0.1"),
        ] {
            let answer = get(app.addr(), "/metrics", &[(header, value)]).await;
            assert_eq!(answer.status, 404, "{header}");
            assert!(!answer.contains("guestlist_"));
        }
    });
}

/// A trusted proxy is recognized by its address, even if it adds no header.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_not_served_to_a_trusted_local_proxy() {
    let app = TestApp::configured(Engine::Sqlite, Protocol::Grpc, |config| {
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let answer = get(app.addr(), "/metrics", &[]).await;
    assert_eq!(answer.status, 404);
    assert!(!answer.contains("guestlist_"));
    assert_eq!(get(app.addr(), "/healthz", &[]).await.status, 200);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_can_have_a_separate_listener() {
    let app = TestApp::configured(Engine::Sqlite, Protocol::Grpc, |config| {
        config.metrics_listen = Some(([127, 0, 0, 1], 0).into());
    })
    .await;
    let metrics_addr = app.app.metrics_addr().expect("a listener for metrics");
    app.person("ana").await.new_organization("Acme").await;

    assert_eq!(get(app.addr(), "/metrics", &[]).await.status, 404);
    for headers in [&[][..], &[("x-forwarded-for", "10.0.0.1")]] {
        let counted = series(&get(metrics_addr, "/metrics", headers).await);
        let labels = format!("rpc=\"{}\",protocol=\"grpc\",code=\"ok\"", rpc::CREATE);
        assert_eq!(counted[&format!("guestlist_requests_total{{{labels}}}")], 1.0);
    }
    // This listener serves nothing else.
    for path in [rpc::CREATE, rpc::GET_CALLER, "/grpc.health.v1.Health/Check", "/x"] {
        assert_eq!(get(metrics_addr, path, &[]).await.status, 404, "{path}");
    }
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let transport = Transport { form: Form::Json, version };
        let mut connection = Connection::open(metrics_addr, version).await;
        let head = TestRequest::raw(transport, "/metrics", "")
            .verb(Method::HEAD)
            .send(&mut connection)
            .await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
        let post = TestRequest::raw(transport, "/metrics", "").send(&mut connection).await;
        assert_eq!(post.status, 405);
    }
    app.stop().await;
}

#[test]
fn the_store_the_workers_and_the_process_are_measured() {
    with_app(async |app| {
        app.organization().await;
        let scrape = series(&get(app.addr(), "/metrics", &[]).await);
        for of in ["read", "transaction", "commit"] {
            assert!(scrape[&format!("guestlist_store_{of}_duration_seconds_count")] >= 1.0, "{of}");
        }
        for cause in ["away", "conflict", "disk_full", "fault"] {
            assert!(
                scrape.contains_key(&format!("guestlist_store_errors_total{{cause=\"{cause}\"}}"))
            );
        }
        for purpose in ["change", "read"] {
            let waits = format!("guestlist_store_pool_wait_seconds_count{{purpose=\"{purpose}\"}}");
            assert!(scrape.contains_key(&waits), "{waits}");
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        for worker in [
            "domains",
            "event_lag",
            "expiry",
            "key_usage",
            "mail",
            "notices",
            "pruning",
            "removal",
            "webhooks",
        ] {
            let of =
                |name: &str| scrape[&format!("guestlist_worker_{name}{{worker=\"{worker}\"}}")];
            let age = now.as_secs_f64() - of("last_success_timestamp_seconds");
            assert!((-1.0..600.0).contains(&age), "{worker}: {age}");
            assert!(of("period_seconds") >= 1.0, "{worker}");
        }
        let started = now.as_secs_f64() - scrape["process_start_time_seconds"];
        assert!((-1.0..600.0).contains(&started), "{started}");
        assert!(scrape["process_cpu_seconds_total"] > 0.0);
        assert!(scrape["process_resident_memory_bytes"] > 1e6);
        assert!(scrape["process_open_fds"] <= scrape["process_max_fds"]);
        for name in ["waiting", "oldest_seconds", "sent_total", "postponed_total", "failed_total"] {
            assert!(scrape.contains_key(&format!("guestlist_mails_{name}")), "{name}");
        }
    });
}

/// The counter is the number of rejected requests.
#[tokio::test(flavor = "multi_thread")]
async fn requests_rejected_by_a_limit_are_counted_per_limit() {
    let app = TestApp::configured(Engine::Sqlite, Protocol::Grpc, |config| {
        config.limits.organizations_per_account = 1;
    })
    .await;
    let ana = app.person("ana").await;
    ana.new_organization("Acme").await;
    for _ in 0..3 {
        let again =
            gitpod::CreateOrganizationRequest { name: "Again".into(), ..Default::default() };
        ana.create_organization(again).await.unwrap_err();
    }
    let scrape = series(&get(app.addr(), "/metrics", &[]).await);
    let of = |limit: &str| scrape[&format!("guestlist_rate_limited_total{{limit=\"{limit}\"}}")];
    assert_eq!(of("organizations_per_account"), 3.0);
    assert_eq!(of("invites_per_account"), 0.0);
    assert_eq!(of("lists_per_organization"), 0.0);
    assert_eq!(scrape["guestlist_concurrency_limited_total{limit=\"max_requests\"}"], 0.0);
    app.stop().await;
}
