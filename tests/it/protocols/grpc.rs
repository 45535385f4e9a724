//! gRPC over HTTP/2: the exact headers, frames and trailers.

use http::Version;
use serde_json::json;
use tonic::Status;
use tonic_types::StatusExt;

use super::fixture::Fixture;
use super::request::TestRequest;
use super::transport::{Form, Transport, decode, encode, frame, frames};
use super::{gunzip, gzip, rpc, served};
use crate::support::Code;

const GRPC: Transport = Transport { form: Form::Grpc, version: Version::HTTP_2 };

#[test]
fn a_good_answer_ends_in_trailers() {
    served(async |app| {
        let world = Fixture::new(app).await;
        let mut connection = GRPC.connect(app).await;
        for content_type in [
            "application/grpc",
            "application/grpc+proto",
            "Application/GRPC",
            "application/grpc; charset=utf-8",
        ] {
            let ask = world.good(GRPC).with("content-type", content_type).with("te", "trailers");
            let answer = ask.send(&mut connection).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("content-type"), Some("application/grpc"));
            assert_eq!(answer.header("grpc-status"), None, "the status is not in the headers");
            let mut trailers: Vec<&str> =
                answer.trailers.keys().map(|name| name.as_str()).collect();
            trailers.sort_unstable();
            assert_eq!(trailers, ["grpc-status"]);
            assert_eq!(answer.trailers["grpc-status"], "0");
            let frames = frames(answer.body);
            assert_eq!((frames.len(), frames[0].0), (1, 0));
            let message = decode(rpc::GET, &frames[0].1);
            assert_eq!(message["organization"]["id"], world.org.id);
        }
    });
}

#[test]
fn a_failure_carries_its_details() {
    served(async |app| {
        let world = Fixture::new(app).await;
        let mut connection = GRPC.connect(app).await;
        let request = json!({"organizationId": "x", "userId": "x", "role": 9});
        let ask = TestRequest::new(GRPC, rpc::SET_ROLE, &request).by(&world.org.admin);
        let answer = ask.send(&mut connection).await;
        assert!(answer.body.is_empty() && answer.trailers.is_empty());
        let raw = answer.header("grpc-message").unwrap();
        assert!(raw.is_ascii() && !raw.contains(' '), "percent-encoded: {raw}");
        let status = Status::from_header_map(&answer.headers).unwrap();
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID_ARGUMENT", "guestlist"));
        let violations = &details.bad_request().unwrap().field_violations;
        let fields: Vec<&str> = violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["organization_id", "user_id", "role"]);
        for violation in violations {
            let whole = format!("{}: {}", violation.field, violation.description);
            assert!(status.message().contains(&whole), "{whole}");
        }
    });
}

#[test]
fn messages_come_and_go_packed() {
    served(async |app| {
        let world = Fixture::new(app).await;
        let request = encode(rpc::GET, &json!({"organizationId": world.org.id}));
        for transport in Transport::framed() {
            let mut connection = transport.connect(app).await;
            let ask = |flag, message: &[u8]| {
                let body = transport.wrap(&frame(flag, message));
                TestRequest::raw(transport, rpc::GET, body).by(&world.org.admin)
            };
            for ask in [
                ask(1, &gzip(&request)).with("grpc-encoding", "gzip"),
                ask(0, &request).with("grpc-encoding", "gzip"),
                ask(0, &request).with("grpc-encoding", "identity"),
                ask(0, &request).with("grpc-accept-encoding", "identity"),
                ask(0, &request).with("grpc-accept-encoding", "br,deflate"),
                // gRPC does not use this header.
                ask(0, &request).with("accept-encoding", "gzip"),
            ] {
                let answer = ask.send(&mut connection).await;
                assert_eq!(answer.header("grpc-encoding"), None);
                let message = transport.read(rpc::GET, &answer).unwrap();
                assert_eq!(message["organization"]["id"], world.org.id);
            }
            for accepted in ["gzip", "identity,deflate,gzip", "br, gzip"] {
                let ask = ask(0, &request).with("grpc-accept-encoding", accepted);
                let answer = ask.send(&mut connection).await;
                assert_eq!(answer.header("grpc-encoding"), Some("gzip"), "{accepted}");
                let body = match transport.form {
                    Form::WebText => super::transport::without_base64(&answer.body),
                    _ => answer.body,
                };
                let (flag, packed) = frames(body)[0].clone();
                assert_eq!(flag, 1);
                let message = decode(rpc::GET, &gunzip(&packed));
                assert_eq!(message["organization"]["id"], world.org.id);
            }
        }
    });
}

#[test]
fn timeouts() {
    served(async |app| {
        let world = Fixture::new(app).await;
        let request = json!({"inviteId": world.token});
        for transport in Transport::framed() {
            let mut connection = transport.connect(app).await;
            let ask = || TestRequest::new(transport, rpc::JOIN, &request).by(&world.org.stranger);
            for malformed in ["", "1", "S", "1s", "-1S", "1.5S", "123456789S", "1 S", "1SS"] {
                let bad = ask().with("grpc-timeout", malformed);
                world.invalid(&mut connection, bad, &["grpc-timeout"]).await;
            }
            for none in ["0S", "0n", "00000000u"] {
                let failure =
                    world.refused(&mut connection, ask().with("grpc-timeout", none)).await;
                assert_eq!(failure.code, Code::DeadlineExceeded);
            }
            for enough in ["99999999H", "1M", "10S", "10000m", "10000000u"] {
                let good = world.good(transport).with("grpc-timeout", enough);
                transport.read(rpc::GET, &good.send(&mut connection).await).unwrap();
            }
            let good = world.good(transport).with("connect-timeout-ms", "x");
            transport.read(rpc::GET, &good.send(&mut connection).await).unwrap();
        }
        world.is_as_before().await;
    });
}

#[test]
fn a_unary_call_has_one_message() {
    served(async |app| {
        let world = Fixture::new(app).await;
        let join = frame(0, &encode(rpc::JOIN, &json!({"inviteId": world.token})));
        for transport in Transport::framed() {
            let mut connection = transport.connect(app).await;
            let cases: [&[&[u8]]; 4] =
                [&[], &[&join, &join], &[&join, &join[..7]], &[&join, b"\0"]];
            for frames in cases {
                let body = transport.wrap(&frames.concat());
                let bad = TestRequest::raw(transport, rpc::JOIN, body).by(&world.org.stranger);
                let failure = world.refused(&mut connection, bad).await;
                assert_eq!(failure.code, Code::Unimplemented, "{transport:?} {frames:?}");
            }
        }
        world.is_as_before().await;
    });
}
