//! The checks before the REST contracts: methods, content types, bounds, unknown paths.

use std::time::Duration;

use guestlist::config::Config;
use guestlist::operations::keys::Owner;
use serde_json::json;

use super::clickhouse::{error, invitations};
use super::client::{Answer, Rest, send, send_json};
use super::gitbook::{invites, link, links, message};
use crate::support::{Engine, Protocol, TestApp, run};

const PAGE: &str = "https://app.example.com";

/// Runs a test whose result does not depend on the engine.
fn run_on_one_engine(behaviour: impl AsyncFn(&TestApp)) {
    run(Engine::Sqlite, Protocol::Grpc, behaviour);
}

/// The error message of a request that either contract rejected with this status.
#[track_caller]
fn rejection(answer: &Answer, status: u16) -> String {
    match answer.json(status)["error"].is_string() {
        true => error(answer, status),
        false => message(answer, status),
    }
}

#[test]
fn an_unknown_path_is_rejected_in_the_error_format_of_its_contract() {
    run_on_one_engine(async |app| {
        let org = app.organization().await;
        for path in [
            "/v1/organizations/",
            &format!("/v1/organizations/{}/members", org.id),
            &format!("/v1/organizations/{}/invitations/", org.id),
            "/v1/organizations//invitations",
        ] {
            for person in [&org.admin, &app.without_credential()] {
                assert_eq!(error(&send(person, "GET", path).await, 404), "NOT_FOUND", "{path}");
            }
        }
        for path in ["/v1/orgs/", "/v1/user/x", "/orgs/x/y", &format!("{}/x/y", links(&org.id))] {
            let answer = send(&org.admin, "DELETE", path).await;
            assert_eq!(message(&answer, 404), "there is no such path", "{path}");
        }
        for path in ["/v1", "/v1/", "/v1/other", "/v1/organization"] {
            let answer = send(&org.admin, "GET", path).await;
            assert_eq!(answer.json(404)["code"], "unimplemented", "{path}");
        }
    });
}

#[test]
fn allowed_methods_are_listed_and_others_are_rejected() {
    run_on_one_engine(async |app| {
        let org = app.organization().await;
        for (path, allow) in [
            ("/v1/organizations".to_owned(), "GET, HEAD, OPTIONS"),
            (invitations(&org.id), "GET, POST, HEAD, OPTIONS"),
            ("/v1/user".to_owned(), "GET, HEAD, OPTIONS"),
            (invites(&org.id), "POST, OPTIONS"),
            (format!("{}/x", invites(&org.id)), "POST, OPTIONS"),
            (link(&org.id, "x"), "GET, PATCH, DELETE, HEAD, OPTIONS"),
        ] {
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "SECRET"] {
                let answer = send(&app.without_credential(), method, &path).await;
                if allow.split(", ").any(|taken| taken == method) {
                    assert_eq!(answer.status, 401, "{method} {path}");
                    continue;
                }
                assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
                if method == "HEAD" {
                    answer.empty(405);
                } else {
                    let text = rejection(&answer, 405);
                    assert!(
                        text.ends_with("this path does not take this method; see the allow header")
                    );
                }
            }
            let options = send(&app.without_credential(), "OPTIONS", &path).await;
            options.empty(204);
            assert_eq!(options.header("allow"), Some(allow));
        }
    });
}

#[test]
fn a_body_must_be_json_and_within_the_size_limit() {
    run_on_one_engine(async |app| {
        let org = app.organization().await;
        let token = org.admin.link(&org.id, "read").await.unwrap().token;
        for (method, path, body) in [
            ("POST", invitations(&org.id), json!({"email": "zoe@example.org"})),
            ("POST", invites(&org.id), json!({"emails": ["yan@example.org"]})),
            ("POST", links(&org.id), json!({"role": null})),
            ("PATCH", link(&org.id, &token), json!({"role": "edit"})),
        ] {
            let plain = || Rest::new(&org.admin, method, &path).body(body.to_string());
            let sent = plain().send().await;
            assert!(rejection(&sent, 415).ends_with("send application/json"), "{path}");
            for other in ["text/plain", "application/jsonp", "application/x-www-form-urlencoded"] {
                rejection(&plain().with("content-type", other).send().await, 415);
            }
            // The content types of RPCs are not accepted here either.
            for other in ["application/grpc", "application/grpc-web+proto", "application/proto"] {
                rejection(&plain().with("content-type", other).send().await, 415);
            }
            let coded = plain().with("content-type", "application/json");
            rejection(&coded.with("content-encoding", "gzip").send().await, 415);

            let large = format!("{{\"x\": \"{}\"}}", "x".repeat(1024 * 1024));
            let large = plain().body(large).with("content-type", "application/json");
            let text = rejection(&large.send().await, 413);
            assert!(text.ends_with("the body is larger than the server takes"), "{text}");

            let strange = plain().with("content-type", "Application/JSON; charset=utf-8");
            let good = strange.with("content-encoding", "identity").send().await;
            assert!(good.status.is_success(), "{path}: {}", good.text());
            assert_eq!(good.header("cache-control"), Some("no-store"));
        }
    });
}

#[test]
fn a_body_is_ignored_where_none_is_expected() {
    run_on_one_engine(async |app| {
        let org = app.organization().await;
        let token = org.admin.link(&org.id, "read").await.unwrap().token;
        let path = format!("{}/{token}", invites(&org.id));
        let request = Rest::new(&org.stranger, "POST", &path).body("{not JSON");
        assert_eq!(request.with("content-type", "text/plain").send().await.json(200), json!({}));
    });
}

#[test]
fn unknown_body_keys_and_query_parameters_are_ignored() {
    run_on_one_engine(async |app| {
        let org = app.organization().await;
        let body = json!({"email": "zoe@example.org", "more": {"and": ["more"]}});
        send_json(&org.admin, "POST", &invitations(&org.id), &body).await.json(200);
        let body = json!({"role": "read", "more": null});
        send_json(&org.admin, "POST", &links(&org.id), &body).await.json(201);
        let path = format!("{}?limit=1&more=1&more=2", links(&org.id));
        send(&org.admin, "GET", &path).await.json(200);
    });
}

#[test]
fn two_credentials_or_an_unauthorized_on_behalf_of_are_rejected() {
    run_on_one_engine(async |app| {
        let org = app.organization().await;
        let key = format!("Bearer {}", org.admin.key.as_deref().unwrap());
        for path in ["/v1/organizations", "/v1/user"] {
            let twice = Rest::new(&org.admin, "GET", path).and("authorization", &key);
            assert!(
                rejection(&twice.send().await, 401).contains("more than one authorization header")
            );
            let account = org.member.account().await.to_string();
            let acting =
                Rest::new(&org.admin, "GET", path).with("guestlist-on-behalf-of", &account);
            rejection(&acting.send().await, 403);
        }
    });
}

#[test]
fn p29_an_allowed_cors_origin_may_use_every_method() {
    let settings = |config: &mut Config| config.cors.allowed_origins = vec![PAGE.to_owned()];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let app = TestApp::configured(Engine::Sqlite, Protocol::Grpc, settings).await;
        let org = app.organization().await;
        for method in ["GET", "POST", "PATCH", "DELETE"] {
            let preflight = Rest::new(&app.without_credential(), "OPTIONS", &link(&org.id, "x"))
                .with("origin", PAGE)
                .with("access-control-request-method", method)
                .with("access-control-request-headers", "authorization,idempotency-key")
                .send()
                .await;
            assert_eq!(preflight.header("access-control-allow-origin"), Some(PAGE));
            let methods = preflight.header("access-control-allow-methods").unwrap();
            assert!(methods.split(',').any(|one| one.trim() == method), "{methods}");
            let headers = preflight.header("access-control-allow-headers").unwrap();
            assert!(headers.contains("idempotency-key"), "{headers}");
        }
        // The page can read the response of a rejected request, too.
        let denied = Rest::new(&app.without_credential(), "GET", "/v1/user")
            .with("origin", PAGE)
            .send()
            .await;
        assert_eq!(denied.status, 401);
        assert_eq!(denied.header("access-control-allow-origin"), Some(PAGE));
        app.stop().await;
    });
}

#[test]
fn an_expired_key_is_rejected_like_an_unknown_one() {
    run_on_one_engine(async |app| {
        let org = app.organization().await;
        let owner = Owner::Account(org.admin.account().await);
        let expires_in = Some(Duration::from_secs(60));
        let key = guestlist::operations::keys::CreateKey {
            owner,
            organization: None,
            scope: None,
            expires_in,
        };
        let expires = app.key_as(key).await;
        send(&expires, "GET", "/v1/user").await.json(200);
        app.clock.advance(Duration::from_secs(60));
        let mut unknown = expires.clone();
        unknown.key = Some(format!("gl_{}_{}", "0".repeat(16), "0".repeat(64)));
        let answers =
            [send(&expires, "GET", "/v1/user").await, send(&unknown, "GET", "/v1/user").await];
        message(&answers[0], 401);
        assert_eq!(answers[0].comparable(), answers[1].comparable());
    });
}
