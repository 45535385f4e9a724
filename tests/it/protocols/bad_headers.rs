//! Content types, HTTP methods and paths with which no RPC can be called.

use bytes::Bytes;
use http::{Method, Version};
use serde_json::json;

use super::fixture::Fixture;
use super::request::TestRequest;
use super::transport::{Form, Transport, encode, frame};
use super::{rpc, with_app};
use crate::support::Code;

#[test]
fn unknown_content_types_are_rejected() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let request = json!({"inviteId": fixture.token});
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            let call =
                || TestRequest::new(transport, rpc::JOIN, &request).by(&fixture.org.stranger);
            let unknown = [
                "text/plain",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x",
                "application/xml",
                "application/x-protobuf",
                "application/jsonp",
                "json",
                "*/*",
            ];
            let mut calls: Vec<TestRequest> =
                unknown.iter().map(|text| call().with("content-type", text)).collect();
            calls.push(call().without("content-type"));
            for bad in calls {
                let answer = fixture.send_invalid(&mut connection, bad).await;
                assert_eq!(answer.status, 415);
                assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
                let accepted = answer.headers.get_all("accept-post").iter();
                let accepted: Vec<_> = accepted.map(|types| types.to_str().unwrap()).collect();
                assert!(accepted[0].contains("application/json"), "{accepted:?}");
                assert!(accepted[1].contains("application/grpc"), "{accepted:?}");
                assert_eq!(answer.body, "send application/json or application/proto");
            }
        }
        fixture.assert_unchanged().await;
    });
}

/// A gRPC request whose messages have an unsupported encoding is rejected with a gRPC status.
#[test]
fn unsupported_grpc_codecs_are_rejected() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let body = frame(0, json!({"inviteId": fixture.token}).to_string().as_bytes());
        for transport in Transport::framed() {
            let other = match transport.form {
                Form::Grpc => ["application/grpc+cbor", "application/grpc+thrift"],
                Form::Web => ["application/grpc-web+cbor", "application/grpc-web+thrift"],
                _ => continue,
            };
            let mut connection = transport.connect(app).await;
            for content_type in other {
                let bad =
                    TestRequest::raw(transport, rpc::JOIN, body.clone()).by(&fixture.org.stranger);
                let bad = bad.with("content-type", content_type);
                let failure = fixture.expect_failure(&mut connection, bad).await;
                assert_eq!(failure.code, Code::Unimplemented);
                assert!(failure.message.contains("protobuf"), "{failure:?}");
            }
        }
        fixture.assert_unchanged().await;
    });
}

/// The content type is known, but the body has another format.
#[test]
fn bodies_in_the_format_of_another_protocol_are_rejected() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let request = json!({"inviteId": fixture.token});
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            let others: [Bytes; 2] = match transport.form {
                Form::Json => [encode(rpc::JOIN, &request).into(), frame(0, b"{}")],
                Form::Proto => [request.to_string().into(), frame(0, &encode(rpc::JOIN, &request))],
                _ => [request.to_string().into(), encode(rpc::JOIN, &request).into()],
            };
            for body in others {
                let bad = TestRequest::raw(transport, rpc::JOIN, body).by(&fixture.org.stranger);
                fixture.expect_invalid_argument(&mut connection, bad, &["body"]).await;
            }
        }
        fixture.assert_unchanged().await;
    });
}

#[test]
fn grpc_over_http_1_is_rejected() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let grpc = Transport { form: Form::Grpc, version: Version::HTTP_11 };
        let json = Transport { form: Form::Json, version: Version::HTTP_11 };
        let mut connection = json.connect(app).await;
        let body = grpc.body(rpc::JOIN, &json!({"inviteId": fixture.token}));
        let bad = TestRequest::raw(json, rpc::JOIN, body).by(&fixture.org.stranger);
        let answer = fixture
            .send_invalid(&mut connection, bad.with("content-type", "application/grpc"))
            .await;
        assert_eq!(answer.status, 505);
        assert!(answer.json()["message"].as_str().unwrap().contains("needs HTTP/2"));
        fixture.assert_unchanged().await;
    });
}

#[test]
fn wrong_http_methods_are_rejected() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let request = json!({"inviteId": fixture.token});
        let verbs = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "post"];
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            for verb in verbs {
                let verb: Method = verb.parse().unwrap();
                let bad =
                    TestRequest::new(transport, rpc::JOIN, &request).by(&fixture.org.stranger);
                let answer = fixture.send_invalid(&mut connection, bad.verb(verb.clone())).await;
                assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("POST")));
                if verb == Method::HEAD {
                    assert!(answer.body.is_empty());
                } else if transport.is_framed() {
                    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
                    assert!(answer.contains("allow header"));
                } else {
                    assert_eq!(answer.json()["code"], "unknown");
                    assert!(answer.json()["message"].as_str().unwrap().contains("allow header"));
                }
            }
            // Some proxies and frameworks replace the HTTP method by this header or parameter.
            // The server ignores both.
            for (name, path) in [
                ("x-http-method-override", rpc::JOIN.to_owned()),
                ("x-http-method", format!("{}?_method=POST", rpc::JOIN)),
            ] {
                let bad =
                    TestRequest::new(transport, rpc::JOIN, &request).path(&path).verb(Method::PUT);
                let bad = bad.by(&fixture.org.stranger).with(name, "POST");
                assert_eq!(fixture.send_invalid(&mut connection, bad).await.status, 405);
            }
        }
        fixture.assert_unchanged().await;
    });
}

#[test]
fn unknown_paths_are_rejected() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let token = &fixture.token;
        let unknown = [
            format!("/{token}"),
            format!("/invites/{token}/accept"),
            format!("/no.such.Service/{token}"),
            format!("/{}", rpc::JOIN),
            format!("/api/api{}", rpc::JOIN),
            format!("/API{}", rpc::JOIN),
            format!("/.{}", rpc::JOIN),
            "/gitpod.v1.OrganizationService".to_owned(),
            "/gitpod%2Ev1.OrganizationService/JoinOrganization".to_owned(),
            "/metrics/".to_owned(),
        ];
        let unknown_methods = [
            format!("{}/", rpc::JOIN),
            format!("{}/{token}", rpc::JOIN),
            format!("/gitpod.v1.OrganizationService/{token}"),
            "/gitpod.v1.OrganizationService/Join%4Frganization".to_owned(),
            "/gitpod.v1.OrganizationService/joinOrganization".to_owned(),
        ];
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            for path in unknown.iter().chain(&unknown_methods) {
                let bad =
                    TestRequest::new(transport, rpc::JOIN, &json!({"inviteId": token})).path(path);
                let answer =
                    fixture.send_invalid(&mut connection, bad.by(&fixture.org.stranger)).await;
                if transport.is_framed() {
                    let failure = transport.read(rpc::JOIN, &answer).unwrap_err();
                    assert_eq!(failure.code, Code::Unimplemented, "{path}");
                } else {
                    // Over Connect, an unknown method of a known service returns another status
                    // than an unknown service.
                    let expected = if unknown_methods.contains(path) { 501 } else { 404 };
                    assert_eq!(answer.status, expected, "{path}");
                    assert_eq!(answer.json()["code"], "unimplemented");
                }
            }
        }
        fixture.assert_unchanged().await;
    });
}
