//! Rate limits over HTTP: status 429, and when to retry.

use std::time::Duration;

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use serde_json::{Value as Json, json};

use super::{few_invites, few_previews, unknown_token};
use crate::support::client::http;
use crate::support::{Engine, Failure, Person, Protocol, TestApp};

async fn send(request: ::http::request::Builder, body: Option<Json>) -> Response<Bytes> {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = request.header("content-type", "application/json");
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let (head, body) = http().request(request).await.unwrap().into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

#[track_caller]
fn retry_after<B>(answer: &Response<B>) -> Duration {
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    Duration::from_secs(answer.headers()["retry-after"].to_str().unwrap().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_returns_the_retry_delay() {
    let app = TestApp::configured(Engine::Sqlite, Protocol::ConnectJson, few_previews).await;
    let get = async || {
        let message = format!("%7B%22token%22%3A%22{}%22%7D", unknown_token());
        let method = format!("{}/guestlist.v1.InviteService/Preview", app.addr());
        let query = format!("connect=v1&encoding=json&message={message}");
        send(Request::get(format!("http://{method}?{query}")), None).await
    };
    for _ in 0..4 {
        assert_eq!(get().await.status(), StatusCode::NOT_FOUND);
    }
    let answer = get().await;
    let seconds = retry_after(&answer);
    let failure = Failure::from_connect(answer.body());
    let delay = failure.retry_after.unwrap();
    assert_eq!(failure.reason, "RATE_LIMITED");
    assert!(seconds >= delay && delay > seconds - Duration::from_secs(1));
    app.clock.advance(seconds);
    assert_eq!(get().await.status(), StatusCode::NOT_FOUND);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_contracts_return_the_retry_delay() {
    let app = TestApp::configured(Engine::Sqlite, Protocol::Grpc, few_invites).await;
    let ana = app.person("ana").await;
    let (id, _) = ana.new_organization("Acme").await;
    let post = async |who: &Person, path: &str, body: Json| {
        let key = who.key.clone().unwrap();
        let request = Request::post(format!("http://{}{path}", app.addr()));
        send(request.header("authorization", format!("Bearer {key}")), Some(body)).await
    };
    let invitations = format!("/v1/organizations/{id}/invitations");
    let invitation = |i: usize| json!({"email": format!("p{i}@example.org"), "role": "developer"});
    for i in 0..4 {
        let answer = post(&ana, &invitations, invitation(i)).await;
        assert!(answer.status().is_success(), "{answer:?}");
    }
    let answer = post(&ana, &invitations, invitation(4)).await;
    let seconds = retry_after(&answer);
    let body: Json = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(body["status"], 429);

    let links = format!("/v1/orgs/{id}/link-invites");
    let answer = post(&ana, &links, json!({"role": "read"})).await;
    retry_after(&answer);
    let body: Json = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(body["error"]["code"], 429);

    app.clock.advance(seconds);
    let answer = post(&ana, &links, json!({"role": "read"})).await;
    assert!(answer.status().is_success(), "{answer:?}");
    app.stop().await;
}
