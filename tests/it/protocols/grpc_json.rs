//! JSON in gRPC's framing: the messages are those of Connect's JSON, the status is that of gRPC.

use serde_json::json;

use super::fixture::Fixture;
use super::request::TestRequest;
use super::transport::{Form, Transport, frame, frames, without_base64};
use super::{gunzip, gzip, rpc, served};
use crate::support::Code;

#[test]
fn calls_are_answered_as_over_connect() {
    served(async |app| {
        let world = Fixture::new(app).await;
        let request = json!({"organizationId": world.org.id, "sort": {}, "unknown": 1});
        let list = |transport| {
            TestRequest::new(transport, rpc::LIST_MEMBERS, &request).by(&world.org.admin)
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
fn what_is_wrong_is_named() {
    served(async |app| {
        let world = Fixture::new(app).await;
        for transport in Transport::JSON_IN_FRAMES {
            let mut connection = transport.connect(app).await;
            let ask = |message: &[u8]| {
                TestRequest::raw(transport, rpc::JOIN, transport.wrap(&frame(0, message)))
                    .by(&world.org.stranger)
            };
            for (message, field) in [
                (&b"{\"inviteId\": 5}"[..], "invite_id"),
                (b"{\"inviteId\": \"x\"}", "invite_id"),
                (b"{", "body"),
                (b"", "body"),
                (b"\xff", "body"),
            ] {
                world.invalid(&mut connection, ask(message), &[field]).await;
            }
            let good = json!({"inviteId": world.token}).to_string();
            for (bad, code) in [
                (ask(b"{}").without("authorization"), Code::Unauthenticated),
                (ask(b"{}").with("grpc-timeout", "0n"), Code::DeadlineExceeded),
                (ask(b"{}").path("/no.such.Service/Call"), Code::Unimplemented),
                (ask(&vec![b' '; 2 << 20]), Code::ResourceExhausted),
                (ask(good.as_bytes()).with("grpc-encoding", "br"), Code::Unimplemented),
            ] {
                let failure = world.refused(&mut connection, bad).await;
                assert_eq!(failure.code, code, "{transport:?} {failure:?}");
            }
            let twice = [frame(0, good.as_bytes()), frame(0, good.as_bytes())].concat();
            let half = [&frame(0, good.as_bytes())[..], b"\0\0"].concat();
            for body in [twice, half, Vec::new()] {
                let bad = TestRequest::raw(transport, rpc::JOIN, transport.wrap(&body))
                    .by(&world.org.stranger);
                let failure = world.refused(&mut connection, bad).await;
                assert_eq!(failure.code, Code::Unimplemented, "{transport:?}");
            }
        }
        world.is_as_before().await;
    });
}

#[test]
fn messages_come_and_go_packed() {
    served(async |app| {
        let world = Fixture::new(app).await;
        let request = json!({"organizationId": world.org.id}).to_string();
        for transport in Transport::JSON_IN_FRAMES {
            let mut connection = transport.connect(app).await;
            let ask = |message: &[u8]| {
                TestRequest::raw(transport, rpc::GET, transport.wrap(&frame(1, message)))
                    .by(&world.org.admin)
                    .with("grpc-encoding", "gzip")
            };
            let plain = ask(&gzip(request.as_bytes())).with("grpc-accept-encoding", "identity");
            let answer = plain.send(&mut connection).await;
            assert_eq!(answer.header("grpc-encoding"), None);
            let expected = transport.read(rpc::GET, &answer).unwrap();
            assert_eq!(expected["organization"]["id"], world.org.id);

            let packed = ask(&gzip(request.as_bytes())).with("grpc-accept-encoding", "br, gzip");
            let answer = packed.send(&mut connection).await;
            assert_eq!(answer.header("grpc-encoding"), Some("gzip"));
            let body = match transport.form {
                Form::WebTextJson => without_base64(&answer.body),
                _ => answer.body,
            };
            let (flag, message) = frames(body)[0].clone();
            let message: serde_json::Value = serde_json::from_slice(&gunzip(&message)).unwrap();
            assert_eq!((flag, message), (1, expected), "{transport:?}");

            let bomb = ask(&gzip(&vec![b' '; 2 << 20]));
            let failure = world.refused(&mut connection, bomb).await;
            assert_eq!(failure.code, Code::ResourceExhausted, "{transport:?}");
            let broken = ask(request.as_bytes());
            world.invalid(&mut connection, broken, &["body"]).await;
        }
        world.is_as_before().await;
    });
}
