//! Connect: unary POST and GET, protobuf and JSON.

mod get;
mod json;
mod paging;

use serde_json::json;

use super::fixture::Fixture;
use super::request::TestRequest;
use super::transport::{Form, Transport, encode};
use super::{gunzip, gzip, rpc, served};
use crate::support::{Code, TestApp};

/// A request's bytes in the form of this transport, not compressed.
fn bytes(transport: Transport, path: &str, request: &serde_json::Value) -> Vec<u8> {
    match transport.form {
        Form::Json => request.to_string().into_bytes(),
        _ => encode(path, request),
    }
}

#[test]
fn bodies_come_packed_or_not() {
    served(async |app| {
        let world = Fixture::new(app).await;
        for transport in Transport::plain() {
            let mut connection = transport.connect(app).await;
            let plain = bytes(transport, rpc::GET, &json!({"organizationId": world.org.id}));
            for (encoding, body) in [
                ("gzip", gzip(&plain)),
                ("GZIP", gzip(&plain)),
                ("identity", plain.clone().into()),
                ("Identity", plain.into()),
            ] {
                let ask =
                    TestRequest::raw(transport, rpc::GET, body).with("content-encoding", encoding);
                let answer = ask.by(&world.org.admin).send(&mut connection).await;
                assert_eq!(answer.header("content-encoding"), None, "it was not requested");
                let message = transport.read(rpc::GET, &answer).unwrap();
                assert_eq!(message["organization"]["id"], world.org.id);
            }
        }
    });
}

#[test]
fn answers_are_packed_for_those_who_take_them() {
    served(async |app| {
        let org = app.organization().await;
        for _ in 0..20 {
            org.admin.invite(&org.id).await.unwrap();
        }
        let request = json!({"organizationId": org.id, "page": {"pageSize": 100}});
        for transport in Transport::plain() {
            let mut connection = transport.connect(app).await;
            let ask = || TestRequest::new(transport, rpc::AUDIT, &request).by(&org.admin);
            let plain = ask().send(&mut connection).await;
            let expected = transport.read(rpc::AUDIT, &plain).unwrap();
            assert!(plain.body.len() > 2000 && plain.header("content-encoding").is_none());
            for accepted in ["gzip", "br, gzip", "deflate, gzip, identity"] {
                let mut answer =
                    ask().with("accept-encoding", accepted).send(&mut connection).await;
                assert_eq!(answer.header("content-encoding"), Some("gzip"), "{accepted}");
                assert!(answer.body.len() < plain.body.len() / 2);
                answer.body = gunzip(&answer.body);
                assert_eq!(transport.read(rpc::AUDIT, &answer).unwrap(), expected);
            }
            for refused in ["identity", "br", "", "gzip;q=0"] {
                let answer = ask().with("accept-encoding", refused).send(&mut connection).await;
                assert_eq!(answer.header("content-encoding"), None, "{refused}");
                assert_eq!(transport.read(rpc::AUDIT, &answer).unwrap(), expected);
            }
        }
    });
}

#[test]
fn the_protocol_version_may_be_said() {
    served(async |app| {
        let world = Fixture::new(app).await;
        for transport in Transport::plain() {
            let mut connection = transport.connect(app).await;
            // All other tests send no version.
            let ask = || world.good(transport);
            let answer = ask().with("connect-protocol-version", "1").send(&mut connection).await;
            transport.read(rpc::GET, &answer).unwrap();
            for version in ["2", "", "v1", "1.0"] {
                let bad = ask().with("connect-protocol-version", version);
                let fields = ["connect-protocol-version"];
                world.invalid(&mut connection, bad, &fields).await;
            }
        }
        world.is_as_before().await;
    });
}

#[test]
fn timeouts() {
    served(async |app| {
        let world = Fixture::new(app).await;
        let request = json!({"inviteId": world.token});
        for transport in Transport::plain() {
            let mut connection = transport.connect(app).await;
            let ask = || TestRequest::new(transport, rpc::JOIN, &request).by(&world.org.stranger);
            for malformed in ["", "x", "-1", "1.5", "1s", "12345678901", "+1"] {
                let bad = ask().with("connect-timeout-ms", malformed);
                world.invalid(&mut connection, bad, &["connect-timeout-ms"]).await;
            }
            let failure =
                world.refused(&mut connection, ask().with("connect-timeout-ms", "0")).await;
            assert_eq!(failure.code, Code::DeadlineExceeded);
            for enough in ["10000", "9999999999", "0000005000"] {
                let answer = world
                    .good(transport)
                    .with("connect-timeout-ms", enough)
                    .send(&mut connection)
                    .await;
                transport.read(rpc::GET, &answer).unwrap();
            }
            // This header belongs to another protocol, so it is ignored.
            let answer =
                world.good(transport).with("grpc-timeout", "x").send(&mut connection).await;
            transport.read(rpc::GET, &answer).unwrap();
        }
        world.is_as_before().await;
    });
}

/// Some SDKs retry every 501; this header stops them. (`Transport::read` checks that exactly the
/// responses that need this header have it.)
#[test]
fn final_errors_forbid_retries() {
    served(async |app: &TestApp| {
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
fn a_base_url_may_keep_its_prefix() {
    served(async |app| {
        let world = Fixture::new(app).await;
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            let path = format!("/api{}", rpc::GET);
            let answer = world.good(transport).path(&path).send(&mut connection).await;
            transport.read(rpc::GET, &answer).unwrap();
            let path = format!("/api{}?x=/api/", rpc::GET);
            let answer = world.good(transport).path(&path).send(&mut connection).await;
            transport.read(rpc::GET, &answer).unwrap();
        }
    });
}
