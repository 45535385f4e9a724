//! Connect: unary POST and GET, protobuf and JSON.

mod get;
mod json;
mod paging;

use serde_json::json;

use super::fixture::Fixture;
use super::request::TestRequest;
use super::transport::{Form, Transport, encode};
use super::{gunzip, gzip, rpc, with_app};
use crate::support::{Code, TestApp};

/// A request's bytes in the form of this transport, not compressed.
fn bytes(transport: Transport, path: &str, request: &serde_json::Value) -> Vec<u8> {
    match transport.form {
        Form::Json => request.to_string().into_bytes(),
        _ => encode(path, request),
    }
}

#[test]
fn request_bodies_may_be_compressed() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        for transport in Transport::plain() {
            let mut connection = transport.connect(app).await;
            let plain = bytes(transport, rpc::GET, &json!({"organizationId": fixture.org.id}));
            for (encoding, body) in [
                ("gzip", gzip(&plain)),
                ("GZIP", gzip(&plain)),
                ("identity", plain.clone().into()),
                ("Identity", plain.into()),
            ] {
                let call =
                    TestRequest::raw(transport, rpc::GET, body).with("content-encoding", encoding);
                let answer = call.by(&fixture.org.admin).send(&mut connection).await;
                assert_eq!(answer.header("content-encoding"), None, "it was not requested");
                let message = transport.read(rpc::GET, &answer).unwrap();
                assert_eq!(message["organization"]["id"], fixture.org.id);
            }
        }
    });
}

#[test]
fn responses_are_compressed_if_the_client_accepts_it() {
    with_app(async |app| {
        let org = app.organization().await;
        for _ in 0..20 {
            org.admin.invite(&org.id).await.unwrap();
        }
        let request = json!({"organizationId": org.id, "page": {"pageSize": 100}});
        for transport in Transport::plain() {
            let mut connection = transport.connect(app).await;
            let call = || TestRequest::new(transport, rpc::AUDIT, &request).by(&org.admin);
            let plain = call().send(&mut connection).await;
            let expected = transport.read(rpc::AUDIT, &plain).unwrap();
            assert!(plain.body.len() > 2000 && plain.header("content-encoding").is_none());
            for accepted in ["gzip", "br, gzip", "deflate, gzip, identity"] {
                let mut answer =
                    call().with("accept-encoding", accepted).send(&mut connection).await;
                assert_eq!(answer.header("content-encoding"), Some("gzip"), "{accepted}");
                assert!(answer.body.len() < plain.body.len() / 2);
                answer.body = gunzip(&answer.body);
                assert_eq!(transport.read(rpc::AUDIT, &answer).unwrap(), expected);
            }
            for refused in ["identity", "br", "", "gzip;q=0"] {
                let answer = call().with("accept-encoding", refused).send(&mut connection).await;
                assert_eq!(answer.header("content-encoding"), None, "{refused}");
                assert_eq!(transport.read(rpc::AUDIT, &answer).unwrap(), expected);
            }
        }
    });
}

#[test]
fn the_protocol_version_header_is_optional_and_checked() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        for transport in Transport::plain() {
            let mut connection = transport.connect(app).await;
            // All other tests send no version.
            let call = || fixture.valid_call(transport);
            let answer = call().with("connect-protocol-version", "1").send(&mut connection).await;
            transport.read(rpc::GET, &answer).unwrap();
            for version in ["2", "", "v1", "1.0"] {
                let bad = call().with("connect-protocol-version", version);
                let fields = ["connect-protocol-version"];
                fixture.expect_invalid_argument(&mut connection, bad, &fields).await;
            }
        }
        fixture.assert_unchanged().await;
    });
}

#[test]
fn the_timeout_header_is_checked_and_applied() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let request = json!({"inviteId": fixture.token});
        for transport in Transport::plain() {
            let mut connection = transport.connect(app).await;
            let call =
                || TestRequest::new(transport, rpc::JOIN, &request).by(&fixture.org.stranger);
            for malformed in ["", "x", "-1", "1.5", "1s", "12345678901", "+1"] {
                let bad = call().with("connect-timeout-ms", malformed);
                fixture
                    .expect_invalid_argument(&mut connection, bad, &["connect-timeout-ms"])
                    .await;
            }
            let failure = fixture
                .expect_failure(&mut connection, call().with("connect-timeout-ms", "0"))
                .await;
            assert_eq!(failure.code, Code::DeadlineExceeded);
            for enough in ["10000", "9999999999", "0000005000"] {
                let answer = fixture
                    .valid_call(transport)
                    .with("connect-timeout-ms", enough)
                    .send(&mut connection)
                    .await;
                transport.read(rpc::GET, &answer).unwrap();
            }
            // This header belongs to another protocol, so it is ignored.
            let answer =
                fixture.valid_call(transport).with("grpc-timeout", "x").send(&mut connection).await;
            transport.read(rpc::GET, &answer).unwrap();
        }
        fixture.assert_unchanged().await;
    });
}

/// Some SDKs retry every 501; this header stops them. (`Transport::read` checks that exactly the
/// responses that need this header have it.)
#[test]
fn final_errors_forbid_retries() {
    with_app(async |app: &TestApp| {
        for transport in Transport::plain() {
            let path = "/gitpod.v1.OrganizationService/TransferOrganization";
            let answer = TestRequest::raw(transport, path, "").once(app).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("x-should-retry")),
                (501, Some("false"))
            );
            assert_eq!(transport.read(path, &answer).unwrap_err().code, Code::Unimplemented);
            let answer = TestRequest::raw(transport, rpc::GET_CALLER, "").once(app).await;
            assert_eq!((answer.status.as_u16() / 100, answer.header("x-should-retry")), (4, None));
        }
    });
}

#[test]
fn paths_with_the_api_prefix_are_accepted() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            let path = format!("/api{}", rpc::GET);
            let answer = fixture.valid_call(transport).path(&path).send(&mut connection).await;
            transport.read(rpc::GET, &answer).unwrap();
            let path = format!("/api{}?x=/api/", rpc::GET);
            let answer = fixture.valid_call(transport).path(&path).send(&mut connection).await;
            transport.read(rpc::GET, &answer).unwrap();
        }
    });
}
