//! What operators and probes request.

mod console;
mod health;
mod metrics;
mod reflection;

use http::Method;
use serde_json::json;
use uuid::Uuid;

use super::request::TestRequest;
use super::transport::{Form, Transport};
use super::{rpc, with_app};
use crate::support::own;

#[test]
fn the_probe_pages_have_the_expected_status_and_headers() {
    with_app(async |app| {
        for transport in Transport::of(Form::Json) {
            let mut connection = transport.connect(app).await;
            for (page, body) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
                for path in [page.to_owned(), format!("{page}?x=y")] {
                    let call = || TestRequest::raw(transport, &path, "").without("content-type");
                    let answer = call().verb(Method::GET).send(&mut connection).await;
                    assert_eq!(
                        (answer.status.as_u16(), answer.body.as_ref()),
                        (200, body.as_bytes())
                    );
                    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
                    assert_eq!(answer.header("cache-control"), Some("no-store"));
                    let head = call().verb(Method::HEAD).send(&mut connection).await;
                    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
                    assert_eq!(head.header("content-length"), answer.header("content-length"));
                    let answer = call().send(&mut connection).await;
                    assert_eq!(answer.status, 405);
                    assert_eq!(answer.header("allow"), Some("GET, HEAD, OPTIONS"));
                }
            }
            let call = TestRequest::raw(transport, "/", "").verb(Method::GET);
            let welcome = call.send(&mut connection).await;
            assert!(welcome.contains("Guestlist") && welcome.contains("/healthz"));
        }
    });
}

#[test]
fn a_request_keeps_its_valid_id_or_gets_a_new_one() {
    with_app(async |app| {
        let org = app.organization().await;
        let by_id = json!({"organizationId": org.id});
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            let good = || TestRequest::new(transport, rpc::GET, &by_id).by(&org.admin);
            let calls = || {
                [
                    good(),
                    good().without("authorization"),
                    good().with("content-type", "text/plain"),
                    good().verb(Method::PUT),
                    good().path("/unknown"),
                    good().with("connect-timeout-ms", "0").with("grpc-timeout", "0n"),
                    good().path("/healthz").verb(Method::GET),
                ]
            };
            for valid_id in ["a", "Req-1_2.3", &Uuid::new_v4().to_string(), &"x".repeat(128)] {
                for call in calls() {
                    let answer = call.with("x-request-id", valid_id).send(&mut connection).await;
                    assert_eq!(answer.header("x-request-id"), Some(valid_id));
                }
            }
            let mut made = Vec::new();
            for other in ["", "a b", "a\"b", "{}", "a/b", "a\tb", &"x".repeat(129)] {
                for call in calls() {
                    let answer = call.with("x-request-id", other).send(&mut connection).await;
                    let id = answer.header("x-request-id").unwrap();
                    assert_eq!(Uuid::try_parse(id).unwrap().get_version_num(), 7);
                    made.push(id.to_owned());
                }
            }
            let all = made.len();
            made.sort_unstable();
            made.dedup();
            assert_eq!(made.len(), all, "each request has its own id");
        }
    });
}

/// Each event of the audit trail has the id of the request that made the change.
#[test]
fn audit_events_contain_the_request_id() {
    with_app(async |app| {
        let org = app.organization().await;
        for (index, transport) in Transport::ALL.into_iter().enumerate() {
            let name = format!("change-{index}");
            let path = "/gitpod.v1.OrganizationService/CreateOrganizationInvite";
            let call = TestRequest::new(transport, path, &json!({"organizationId": org.id}))
                .by(&org.admin);
            let answer = call.with("x-request-id", &name).once(app).await;
            transport.read(path, &answer).unwrap();
            let events: Vec<own::AuditEvent> = org.admin.audit(&org.id).await.unwrap();
            assert_eq!(events[0].request_id, name, "{transport:?}");
        }
    });
}
