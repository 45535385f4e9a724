//! JSON in gRPC's framing: the messages are those of Connect's JSON, the status is that of gRPC.

use serde_json::json;

use super::fixture::Fixture;
use super::request::TestRequest;
use super::transport::{Form, Transport, frame, frames, without_base64};
use super::{gunzip, gzip, rpc, with_app};
use crate::support::Code;

#[test]
fn responses_equal_those_of_connect() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let request = json!({"organizationId": fixture.org.id, "sort": {}, "unknown": 1});
        let list = |transport| {
            TestRequest::new(transport, rpc::LIST_MEMBERS, &request).by(&fixture.org.admin)
        };
        let json = Transport::of(Form::Json).next().unwrap();
        let expected = json.read(rpc::LIST_MEMBERS, &list(json).once(app).await).unwrap();
        assert_eq!(expected["members"][0]["role"], "ORGANIZATION_ROLE_ADMIN");
        for transport in Transport::JSON_IN_FRAMES {
            let mut connection = transport.connect(app).await;
            let answer = list(transport).send(&mut connection).await;
            assert_eq!(
                transport.read(rpc::LIST_MEMBERS, &answer).unwrap(),
                expected,
                "{transport:?}"
            );
        }
    });
}

#[test]
fn invalid_requests_are_reported_by_field_name_or_code() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        for transport in Transport::JSON_IN_FRAMES {
            let mut connection = transport.connect(app).await;
            let call = |message: &[u8]| {
                TestRequest::raw(transport, rpc::JOIN, transport.wrap(&frame(0, message)))
                    .by(&fixture.org.stranger)
            };
            for (message, field) in [
                (&b"{\"inviteId\": 5}"[..], "invite_id"),
                (b"{\"inviteId\": \"x\"}", "invite_id"),
                (b"{", "body"),
                (b"", "body"),
                (b"\xff", "body"),
            ] {
                fixture.expect_invalid_argument(&mut connection, call(message), &[field]).await;
            }
            let good = json!({"inviteId": fixture.token}).to_string();
            for (bad, code) in [
                (call(b"{}").without("authorization"), Code::Unauthenticated),
                (call(b"{}").with("grpc-timeout", "0n"), Code::DeadlineExceeded),
                (call(b"{}").path("/no.such.Service/Call"), Code::Unimplemented),
                (call(&vec![b' '; 2 << 20]), Code::ResourceExhausted),
                (call(good.as_bytes()).with("grpc-encoding", "br"), Code::Unimplemented),
            ] {
                let failure = fixture.expect_failure(&mut connection, bad).await;
                assert_eq!(failure.code, code, "{transport:?} {failure:?}");
            }
            let twice = [frame(0, good.as_bytes()), frame(0, good.as_bytes())].concat();
            let half = [&frame(0, good.as_bytes())[..], b"\0\0"].concat();
            for body in [twice, half, Vec::new()] {
                let bad = TestRequest::raw(transport, rpc::JOIN, transport.wrap(&body))
                    .by(&fixture.org.stranger);
                let failure = fixture.expect_failure(&mut connection, bad).await;
                assert_eq!(failure.code, Code::Unimplemented, "{transport:?}");
            }
        }
        fixture.assert_unchanged().await;
    });
}

#[test]
fn messages_may_be_compressed_in_both_directions() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let request = json!({"organizationId": fixture.org.id}).to_string();
        for transport in Transport::JSON_IN_FRAMES {
            let mut connection = transport.connect(app).await;
            let call = |message: &[u8]| {
                TestRequest::raw(transport, rpc::GET, transport.wrap(&frame(1, message)))
                    .by(&fixture.org.admin)
                    .with("grpc-encoding", "gzip")
            };
            let plain = call(&gzip(request.as_bytes())).with("grpc-accept-encoding", "identity");
            let answer = plain.send(&mut connection).await;
            assert_eq!(answer.header("grpc-encoding"), None);
            let expected = transport.read(rpc::GET, &answer).unwrap();
            assert_eq!(expected["organization"]["id"], fixture.org.id);

            let compressed =
                call(&gzip(request.as_bytes())).with("grpc-accept-encoding", "br, gzip");
            let answer = compressed.send(&mut connection).await;
            assert_eq!(answer.header("grpc-encoding"), Some("gzip"));
            let body = match transport.form {
                Form::WebTextJson => without_base64(&answer.body),
                _ => answer.body,
            };
            let (flag, message) = frames(body)[0].clone();
            let message: serde_json::Value = serde_json::from_slice(&gunzip(&message)).unwrap();
            assert_eq!((flag, message), (1, expected), "{transport:?}");

            let bomb = call(&gzip(&vec![b' '; 2 << 20]));
            let failure = fixture.expect_failure(&mut connection, bomb).await;
            assert_eq!(failure.code, Code::ResourceExhausted, "{transport:?}");
            let broken = call(request.as_bytes());
            fixture.expect_invalid_argument(&mut connection, broken, &["body"]).await;
        }
        fixture.assert_unchanged().await;
    });
}
