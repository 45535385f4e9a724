//! CORS: which web pages of other origins may call the server, and which headers they may read.

use std::sync::Arc;

use guestlist::app::App;
use guestlist::clock::SystemClock;
use guestlist::config::{Config, Sources};
use http::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::connection::Answer;
use super::request::TestRequest;
use super::transport::{Form, Transport};
use super::{rpc, with_app};
use crate::support::{Engine, Protocol, TestApp};

const PAGE: &str = "https://app.example.com";
const LOCAL: &str = "http://localhost:3000";
/// The HTTP methods of the RPC protocols and of the REST contracts.
const ALLOWED_METHODS: [&str; 4] = ["delete", "get", "patch", "post"];

fn two_origins(config: &mut Config) {
    config.cors.allowed_origins = vec![PAGE.to_owned(), LOCAL.to_owned()];
    config.cors.allowed_headers = vec!["X-Tenant".to_owned()];
}

async fn with_two_origins(behaviour: impl AsyncFn(&TestApp)) {
    let app = TestApp::configured(Engine::Sqlite, Protocol::Grpc, two_origins).await;
    behaviour(&app).await;
    app.stop().await;
}

fn preflight(transport: Transport, origin: &str, requested: &str) -> TestRequest {
    TestRequest::raw(transport, rpc::JOIN, "")
        .without("content-type")
        .verb(Method::OPTIONS)
        .with("origin", origin)
        .with("access-control-request-method", "POST")
        .with("access-control-request-headers", requested)
}

/// The names of the CORS headers in a response.
fn cors(answer: &Answer) -> Vec<&str> {
    let names = answer.headers.keys().map(|name| name.as_str());
    names.filter(|name| name.starts_with("access-control-")).collect()
}

/// The entries of a header that is a list, in lower case and sorted.
fn list(answer: &Answer, name: &str) -> Vec<String> {
    let mut entries: Vec<String> = answer
        .header(name)
        .unwrap_or_default()
        .split(',')
        .map(|entry| entry.trim().to_ascii_lowercase())
        .collect();
    entries.sort_unstable();
    entries
}

/// Requests that succeed, and one request for each kind of rejection.
fn calls(transport: Transport, key: &str) -> Vec<TestRequest> {
    let good = || {
        let bearer = format!("Bearer {key}");
        TestRequest::new(transport, rpc::GET_CALLER, &json!({})).with("authorization", &bearer)
    };
    vec![
        good(),
        good().without("authorization"),
        good().with("content-type", "text/plain"),
        good().verb(Method::PUT),
        good().path("/unknown/path"),
        good().path("/guestlist.v1.AccountService/Nothing"),
        good().with("connect-timeout-ms", "0").with("grpc-timeout", "0n"),
        good().path("/healthz").verb(Method::GET),
    ]
}

#[test]
fn p29_without_a_setting_no_origin_is_allowed() {
    with_app(async |app| {
        let key = app.person("ana").await.key.unwrap();
        for transport in Transport::ALL {
            let answer = preflight(transport, PAGE, "authorization,content-type").once(app).await;
            assert_eq!((answer.status.as_u16(), answer.header("allow")), (204, Some("POST")));
            assert_eq!(cors(&answer), [""; 0]);
            for call in calls(transport, &key) {
                let answer = call.with("origin", PAGE).once(app).await;
                assert_eq!(cors(&answer), [""; 0], "{answer:?}");
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn p29_allowed_origins_can_call_and_read_every_response() {
    with_two_origins(async |app| {
        let key = app.person("ana").await.key.unwrap();
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            for page in [PAGE, LOCAL] {
                for call in calls(transport, &key) {
                    let answer = call.with("origin", page).send(&mut connection).await;
                    assert_eq!(answer.header("access-control-allow-origin"), Some(page));
                    assert!(list(&answer, "vary").contains(&"origin".to_owned()), "{answer:?}");
                    assert_eq!(answer.header("access-control-allow-credentials"), None);
                    let exposed = list(&answer, "access-control-expose-headers");
                    for name in [
                        "grpc-status",
                        "grpc-message",
                        "grpc-status-details-bin",
                        "grpc-encoding",
                        "content-encoding",
                        "connect-content-encoding",
                        "retry-after",
                        "x-should-retry",
                        "x-request-id",
                        "www-authenticate",
                    ] {
                        assert!(exposed.contains(&name.to_owned()), "{name}: {exposed:?}");
                    }
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p29_preflights_allow_only_the_headers_that_clients_send() {
    with_two_origins(async |app| {
        let sent = "authorization,content-type,content-encoding,accept,connect-protocol-version,\
                    connect-timeout-ms,grpc-timeout,grpc-encoding,grpc-accept-encoding,x-grpc-web,\
                    x-user-agent,x-request-id,guestlist-on-behalf-of,traceparent,tracestate,baggage,\
                    x-tenant";
        for transport in Transport::of(Form::Json) {
            let answer = preflight(transport, PAGE, sent).once(app).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
            assert_eq!(list(&answer, "access-control-allow-methods"), ALLOWED_METHODS);
            let allowed = list(&answer, "access-control-allow-headers");
            for name in sent.split(',') {
                assert!(allowed.contains(&name.to_owned()), "{name}: {allowed:?}");
            }
            assert_eq!(answer.header("access-control-max-age"), Some("7200"));
            assert_eq!(answer.header("access-control-allow-credentials"), None);

            // A header that no client needs stays forbidden, even if the preflight requests it.
            let request = preflight(transport, PAGE, "cookie,x-forwarded-for")
                .and("access-control-request-private-network", "true");
            let answer = request.once(app).await;
            let allowed = list(&answer, "access-control-allow-headers");
            assert!(
                !allowed.iter().any(|name| name == "cookie" || name.starts_with("x-forwarded"))
            );
            assert_eq!(answer.header("access-control-allow-private-network"), None);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p29_other_origins_are_rejected() {
    with_two_origins(async |app| {
        let key = app.person("ana").await.key.unwrap();
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            for other in [
                "null",
                "*",
                "",
                "https://evil.example",
                "http://app.example.com",
                "https://app.example.com:444",
                "https://app.example.com.evil.example",
                "https://evil-app.example.com",
                "https://sub.app.example.com",
                "https://APP.example.com",
                "https://app.example.com/",
                "https://app.example.com https://evil.example",
                "http://localhost:3001",
                "http://127.0.0.1:3000",
            ] {
                let request = preflight(transport, other, "authorization");
                let answer = request.send(&mut connection).await;
                assert_eq!(answer.header("access-control-allow-origin"), None, "{other}");
                assert_eq!(answer.header("access-control-allow-credentials"), None);
                for call in calls(transport, &key) {
                    let answer = call.with("origin", other).send(&mut connection).await;
                    assert_eq!(answer.header("access-control-allow-origin"), None, "{other}");
                }
            }
        }
    })
    .await;
}

const INVALID_ORIGINS: [&str; 5] =
    ["*", "null", "https://*.example.com", "https://app.example.com/", "app.example.com"];

#[test]
fn p29_invalid_origins_are_rejected_as_settings() {
    for bad in INVALID_ORIGINS {
        let variable = ("GUESTLIST_CORS__ALLOWED_ORIGINS".into(), format!("{PAGE},{bad}").into());
        let sources = Sources { environment: vec![variable], ..Sources::default() };
        let error = Config::load(sources).expect_err(bad);
        assert!(error.problems()[0].starts_with("cors.allowed_origins: "), "{error}");
    }
}

#[test]
fn p29_invalid_header_names_are_rejected_as_settings() {
    for bad in ["*", "x-*", "x tenant"] {
        let variable = ("GUESTLIST_CORS__ALLOWED_HEADERS".into(), format!("x-good,{bad}").into());
        let sources = Sources { environment: vec![variable], ..Sources::default() };
        let error = Config::load(sources).expect_err(bad);
        assert!(error.problems()[0].starts_with("cors.allowed_headers: "), "{error}");
    }
}

/// The settings are checked wherever they come from. A failed start leaves nothing running that
/// would keep the store open.
#[tokio::test(flavor = "multi_thread")]
async fn p29_an_invalid_origin_stops_the_start() {
    let directory = TempDir::new().unwrap();
    for bad in INVALID_ORIGINS {
        let mut config = Config::reference();
        config.data_dir = directory.path().to_owned();
        config.cors.allowed_origins = vec![PAGE.to_owned(), bad.to_owned()];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let started = App::start(config, listener, Arc::new(SystemClock)).await;
        let error = started.err().unwrap_or_else(|| panic!("{bad} was accepted"));
        assert!(error.message.contains("cors.allowed_origins[1]"), "{error}");
    }
}
