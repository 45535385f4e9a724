//! gRPC over HTTP/2: the exact headers, frames and trailers.

use http::Version;
use serde_json::json;
use tonic::Status;
use tonic_types::StatusExt;

use super::fixture::Fixture;
use super::request::TestRequest;
use super::transport::{Form, Transport, decode, encode, frame, frames};
use super::{gunzip, gzip, rpc, with_app};
use crate::support::Code;

const GRPC: Transport = Transport { form: Form::Grpc, version: Version::HTTP_2 };

#[test]
fn a_successful_response_ends_with_trailers() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let mut connection = GRPC.connect(app).await;
        for content_type in [
            "application/grpc",
            "application/grpc+proto",
            "Application/GRPC",
            "application/grpc; charset=utf-8",
        ] {
            let call =
                fixture.valid_call(GRPC).with("content-type", content_type).with("te", "trailers");
            let answer = call.send(&mut connection).await;
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
            assert_eq!(message["organization"]["id"], fixture.org.id);
        }
    });
}

#[test]
fn a_failure_contains_its_details() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let mut connection = GRPC.connect(app).await;
        let request = json!({"organizationId": "x", "userId": "x", "role": 9});
        let call = TestRequest::new(GRPC, rpc::SET_ROLE, &request).by(&fixture.org.admin);
        let answer = call.send(&mut connection).await;
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
fn messages_may_be_compressed_in_both_directions() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let request = encode(rpc::GET, &json!({"organizationId": fixture.org.id}));
        for transport in Transport::framed() {
            let mut connection = transport.connect(app).await;
            let call = |flag, message: &[u8]| {
                let body = transport.wrap(&frame(flag, message));
                TestRequest::raw(transport, rpc::GET, body).by(&fixture.org.admin)
            };
            for call in [
                call(1, &gzip(&request)).with("grpc-encoding", "gzip"),
                call(0, &request).with("grpc-encoding", "gzip"),
                call(0, &request).with("grpc-encoding", "identity"),
                call(0, &request).with("grpc-accept-encoding", "identity"),
                call(0, &request).with("grpc-accept-encoding", "br,deflate"),
                // gRPC does not use this header.
                call(0, &request).with("accept-encoding", "gzip"),
            ] {
                let answer = call.send(&mut connection).await;
                assert_eq!(answer.header("grpc-encoding"), None);
                let message = transport.read(rpc::GET, &answer).unwrap();
                assert_eq!(message["organization"]["id"], fixture.org.id);
            }
            for accepted in ["gzip", "identity,deflate,gzip", "br, gzip"] {
                let call = call(0, &request).with("grpc-accept-encoding", accepted);
                let answer = call.send(&mut connection).await;
                assert_eq!(answer.header("grpc-encoding"), Some("gzip"), "{accepted}");
                let body = match transport.form {
                    Form::WebText => super::transport::without_base64(&answer.body),
                    _ => answer.body,
                };
                let (flag, compressed) = frames(body)[0].clone();
                assert_eq!(flag, 1);
                let message = decode(rpc::GET, &gunzip(&compressed));
                assert_eq!(message["organization"]["id"], fixture.org.id);
            }
        }
    });
}

#[test]
fn the_timeout_header_is_checked_and_applied() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let request = json!({"inviteId": fixture.token});
        for transport in Transport::framed() {
            let mut connection = transport.connect(app).await;
            let call =
                || TestRequest::new(transport, rpc::JOIN, &request).by(&fixture.org.stranger);
            for malformed in ["", "1", "S", "1s", "-1S", "1.5S", "123456789S", "1 S", "1SS"] {
                let bad = call().with("grpc-timeout", malformed);
                fixture.expect_invalid_argument(&mut connection, bad, &["grpc-timeout"]).await;
            }
            for none in ["0S", "0n", "00000000u"] {
                let failure = fixture
                    .expect_failure(&mut connection, call().with("grpc-timeout", none))
                    .await;
                assert_eq!(failure.code, Code::DeadlineExceeded);
            }
            for enough in ["99999999H", "1M", "10S", "10000m", "10000000u"] {
                let good = fixture.valid_call(transport).with("grpc-timeout", enough);
                transport.read(rpc::GET, &good.send(&mut connection).await).unwrap();
            }
            let good = fixture.valid_call(transport).with("connect-timeout-ms", "x");
            transport.read(rpc::GET, &good.send(&mut connection).await).unwrap();
        }
        fixture.assert_unchanged().await;
    });
}

#[test]
fn a_unary_call_must_have_exactly_one_message() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let join = frame(0, &encode(rpc::JOIN, &json!({"inviteId": fixture.token})));
        for transport in Transport::framed() {
            let mut connection = transport.connect(app).await;
            let cases: [&[&[u8]]; 4] =
                [&[], &[&join, &join], &[&join, &join[..7]], &[&join, b"\0"]];
            for frames in cases {
                let body = transport.wrap(&frames.concat());
                let bad = TestRequest::raw(transport, rpc::JOIN, body).by(&fixture.org.stranger);
                let failure = fixture.expect_failure(&mut connection, bad).await;
                assert_eq!(failure.code, Code::Unimplemented, "{transport:?} {frames:?}");
            }
        }
        fixture.assert_unchanged().await;
    });
}
