//! Tests the REST contracts with routes that panic or never respond.

use super::*;
use axum::Router;
use axum::routing::{get, post};

const CLICKHOUSE: &str = "/v1/organizations";
const GITBOOK: &str = "/v1/orgs";

/// Routes at paths of the contracts.
pub(super) fn routes() -> Router {
    Router::new()
        .route(CLICKHOUSE, get(panics))
        .route(GITBOOK, get(panics))
        .route("/v1/organizations/{organizationId}", get(waits))
        .route("/v1/orgs/{organizationId}", get(waits))
        .route("/v1/orgs/{organizationId}/invites", post(async || "{}"))
}

async fn panics() {
    panic!("{SECRET}")
}

async fn waits() {
    std::future::pending().await
}

/// The status and the message of an error, read from the body in the form of either contract.
fn error_of(answer: &Answer) -> (u64, String) {
    let body = answer.json();
    let (status, message) = match body["error"].is_string() {
        true => (&body["status"], &body["error"]),
        false => (&body["error"]["code"], &body["error"]["message"]),
    };
    (status.as_u64().unwrap(), message.as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_panic_is_an_internal_error() {
    for (path, message) in
        [(CLICKHOUSE, "INTERNAL_SERVER_ERROR: internal error"), (GITBOOK, "internal error")]
    {
        let answer = send(&stack(), new_request(Method::GET, path, &[], b"")).await;
        assert_eq!(answer.status, 500);
        assert_eq!(error_of(&answer), (500, message.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_times_out() {
    for (path, message) in [
        (CLICKHOUSE, "GATEWAY_TIMEOUT: the time for this request ran out"),
        (GITBOOK, "the time for this request ran out"),
    ] {
        let started = tokio::time::Instant::now();
        let answer = send(&stack(), new_request(Method::GET, &format!("{path}/x"), &[], b"")).await;
        assert_eq!(started.elapsed().as_millis(), 15_000);
        assert_eq!((answer.status.as_u16(), error_of(&answer)), (504, (504, message.to_owned())));
    }
}

#[tokio::test]
async fn overload_is_an_immediate_error_with_retry_after() {
    let http = Http { max_requests: 1, ..bounds() };
    let stack = build_with(&http, &[]).stack;
    let mut first = std::pin::pin!(stack.clone().oneshot(new_request(
        Method::GET,
        &format!("{GITBOOK}/x"),
        &[],
        b""
    )));
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(first.as_mut().poll(&mut cx).is_pending());
    for (path, message) in [
        (CLICKHOUSE, "TOO_MANY_REQUESTS: the server is busy; try again later"),
        (GITBOOK, "the server is busy; try again later"),
    ] {
        let answer = send(&stack, new_request(Method::GET, path, &[], b"")).await;
        assert_eq!((answer.status.as_u16(), error_of(&answer)), (429, (429, message.to_owned())));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

#[tokio::test]
async fn unauthenticated_requests_do_not_reach_a_route() {
    for (path, challenge) in
        [(CLICKHOUSE, "Basic realm=\"guestlist\""), (GITBOOK, "Bearer realm=\"guestlist\"")]
    {
        for authorization in ["-", "Bearer bad"] {
            let headers = [("authorization", authorization)];
            let answer = send(&stack(), new_request(Method::GET, path, &headers, b"")).await;
            assert_eq!((answer.status.as_u16(), error_of(&answer).0), (401, 401));
            assert_eq!(answer.header("www-authenticate"), Some(challenge));
        }
    }
}

#[tokio::test]
async fn the_content_type_does_not_change_the_protocol() {
    for content_type in ["application/grpc", "application/grpc-web-text", "application/proto"] {
        let headers = [("content-type", content_type)];
        let path = format!("{GITBOOK}/x/invites");
        let answer = send(&stack(), new_request(Method::POST, &path, &headers, b"")).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (200, b"{}".as_slice()));
        let answer = send(&stack(), new_request(Method::POST, GITBOOK, &headers, b"")).await;
        assert_eq!((answer.status.as_u16(), error_of(&answer).0), (405, 405));
    }
}

#[tokio::test]
async fn requests_are_counted_by_template_and_method() {
    let built = build_with(&bounds(), &[]);
    for (method, path) in [
        (Method::GET, GITBOOK),
        (Method::POST, "/v1/orgs/secret/invites"),
        (Method::POST, "/orgs/secret/invites"),
        (Method::PUT, "/v1/orgs/secret/invites"),
        (Method::GET, "/v1/orgs/secret/secret"),
        (Method::GET, CLICKHOUSE),
    ] {
        send(&built.stack, new_request(method, path, &[], b"")).await;
    }
    let text = built.metrics.encode().unwrap();
    for (rpc, protocol, code, count) in [
        ("GET /v1/orgs", "gitbook", "internal", 1),
        ("POST /v1/orgs/{organizationId}/invites", "gitbook", "ok", 2),
        ("/v1/orgs/{organizationId}/invites", "gitbook", "unknown", 1),
        ("(unknown)", "gitbook", "unimplemented", 1),
        ("GET /v1/organizations", "clickhouse", "internal", 1),
    ] {
        let labels = format!("rpc=\"{rpc}\",protocol=\"{protocol}\",code=\"{code}\"");
        assert!(text.contains(&format!("guestlist_requests_total{{{labels}}} {count}")), "{text}");
    }
    assert!(!text.contains("secret"));
}
