//! gRPC-Web, binary and text, over HTTP/1.1 and HTTP/2: the exact headers and frames.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tonic::Status;
use tonic_types::StatusExt;

use super::fixture::Fixture;
use super::request::TestRequest;
use super::transport::{
    Form, Transport, decode, encode, frame, frames, web_trailers, without_base64,
};
use super::{rpc, with_app};

const BINARY: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text+proto";

/// The request's content type, its `accept` header, and the response's content type.
const FORMS: [(&str, Option<&str>, &str); 14] = [
    ("application/grpc-web", None, BINARY),
    (BINARY, None, BINARY),
    (BINARY, Some("*/*"), BINARY),
    (BINARY, Some("application/grpc-web"), BINARY),
    (BINARY, Some("application/grpc-web-text"), TEXT),
    (BINARY, Some(TEXT), TEXT),
    ("Application/Grpc-Web+Proto; x=y", Some("application/json"), BINARY),
    ("application/grpc-web-text", None, TEXT),
    (TEXT, None, TEXT),
    (TEXT, Some("*/*"), TEXT),
    (TEXT, Some("application/grpc-web-text"), TEXT),
    (TEXT, Some(BINARY), BINARY),
    (TEXT, Some("application/grpc-web+proto;q=0.9"), BINARY),
    ("application/grpc-web-text; charset=utf-8", Some("text/html, */*"), TEXT),
];

#[test]
fn responses_have_the_form_that_the_client_accepts() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let request = encode(rpc::GET, &json!({"organizationId": fixture.org.id}));
        for transport in Transport::of(Form::Web) {
            let mut connection = transport.connect(app).await;
            for (content_type, accept, answered) in FORMS {
                let is_text = content_type.contains("-text");
                let form = if is_text { Form::WebText } else { Form::Web };
                let body = Transport { form, ..transport }.wrap(&frame(0, &request));
                let call = TestRequest::raw(transport, rpc::GET, body).by(&fixture.org.admin);
                let mut call = call.with("content-type", content_type).with("x-grpc-web", "1");
                if let Some(accept) = accept {
                    call = call.with("accept", accept);
                }
                let good = call.clone().send(&mut connection).await;
                let form = if answered == TEXT { Form::WebText } else { Form::Web };
                let answered = Transport { form, ..transport };
                let message = answered.read(rpc::GET, &good).unwrap();
                assert_eq!(
                    message["organization"]["id"], fixture.org.id,
                    "{content_type} {accept:?}"
                );
                // A rejection has the same form.
                let bad = call.without("authorization").send(&mut connection).await;
                assert_eq!(
                    answered.read(rpc::GET, &bad).unwrap_err().code,
                    tonic::Code::Unauthenticated
                );
            }
        }
    });
}

#[test]
fn trailers_are_the_last_frame() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        for transport in Transport::of(Form::Web).chain(Transport::of(Form::WebText)) {
            let answer = fixture.valid_call(transport).once(app).await;
            assert!(answer.trailers.is_empty());
            assert_eq!(answer.header("grpc-status"), None);
            let body = match transport.form {
                Form::WebText => without_base64(&answer.body),
                _ => answer.body,
            };
            let frames = frames(body);
            assert_eq!(frames.iter().map(|(flag, _)| *flag).collect::<Vec<_>>(), [0, 0x80]);
            let message = decode(rpc::GET, &frames[0].1);
            assert_eq!(message["organization"]["id"], fixture.org.id);
            let trailers = web_trailers(&frames[1].1);
            assert_eq!((trailers.len(), &trailers["grpc-status"]), (1, &"0".parse().unwrap()));
        }
    });
}

#[test]
fn a_failure_contains_its_details() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        for transport in Transport::of(Form::Web).chain(Transport::of(Form::WebText)) {
            let request = json!({"organizationId": "x"});
            let answer = TestRequest::new(transport, rpc::GET, &request)
                .by(&fixture.org.admin)
                .once(app)
                .await;
            assert!(answer.body.is_empty(), "the status is in the headers");
            let status = Status::from_header_map(&answer.headers).unwrap();
            let details = status.get_error_details();
            assert_eq!(details.error_info().unwrap().domain, "guestlist");
            let violations = &details.bad_request().unwrap().field_violations;
            assert_eq!(violations[0].field, "organization_id");
        }
    });
}

/// Base64 is decoded correctly, wherever the network splits it.
#[test]
fn base64_bodies_of_every_length_are_decoded() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let request = encode(rpc::GET, &json!({"organizationId": fixture.org.id}));
        for transport in Transport::of(Form::WebText) {
            let mut connection = transport.connect(app).await;
            for unknown in [0_usize, 1, 2, 3, 4, 5, 1000, 65_536, 900_000] {
                // Field 15 is unknown to the server.
                let mut message = request.clone();
                prost::encoding::bytes::encode(15, &vec![7_u8; unknown], &mut message);
                let body = STANDARD.encode(frame(0, &message));
                let call = TestRequest::raw(transport, rpc::GET, body).by(&fixture.org.admin);
                let answer = call.send(&mut connection).await;
                let message = transport.read(rpc::GET, &answer).unwrap();
                assert_eq!(message["organization"]["id"], fixture.org.id, "{unknown}");
            }
        }
    });
}
