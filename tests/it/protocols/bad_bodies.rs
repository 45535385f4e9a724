//! Bodies that are empty, too large, incomplete or in an unknown or wrong compression.

use bytes::Bytes;
use http::Version;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fixture::Fixture;
use super::request::TestRequest;
use super::transport::{Form, Transport, encode, frame};
use super::{gzip, rpc, with_app};
use crate::support::Code;

#[test]
fn empty_bodies_are_rejected() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            let bad = TestRequest::raw(transport, rpc::GET, Bytes::new()).by(&fixture.org.admin);
            if transport.is_framed() {
                let failure = fixture.expect_failure(&mut connection, bad).await;
                assert_eq!(failure.code, Code::Unimplemented, "{transport:?}");
                continue;
            }
            // An empty protobuf body is a valid message without fields.
            let (field, words) = match transport.form {
                Form::Proto => ("organization_id", "must be a UUID"),
                _ => ("body", "is empty; send a JSON object"),
            };
            let failure = fixture.expect_invalid_argument(&mut connection, bad, &[field]).await;
            assert!(failure.message.contains(words), "{failure:?}");
        }
        fixture.assert_unchanged().await;
    });
}

#[test]
fn bodies_over_the_size_limit_are_rejected() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        // The bytes are in an unknown field, so that only the size of the message is wrong.
        let large = vec![b'x'; 2 << 20];
        let of_json =
            json!({"inviteId": fixture.token, "unknown": String::from_utf8_lossy(&large)});
        let mut of_proto = encode(rpc::JOIN, &json!({"inviteId": fixture.token}));
        // Field 15, of 2 MiB.
        of_proto.extend(b"\x7a\x80\x80\x80\x01".iter().chain(&large));

        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            let plain = match transport.form {
                Form::Json => of_json.to_string().into(),
                Form::Proto => of_proto.clone().into(),
                _ => transport.wrap(&frame(0, &of_proto)),
            };
            let (compressed, encoding) = match transport.form {
                Form::Json => (gzip(of_json.to_string().as_bytes()), "content-encoding"),
                Form::Proto => (gzip(&of_proto), "content-encoding"),
                _ => (transport.wrap(&frame(1, &gzip(&of_proto))), "grpc-encoding"),
            };
            assert!(compressed.len() < 16 * 1024, "the compressed body is small");
            let call =
                |body| TestRequest::raw(transport, rpc::JOIN, body).by(&fixture.org.stranger);
            let mut calls = vec![call(plain.clone()), call(compressed).with(encoding, "gzip")];
            if transport.version == Version::HTTP_11 {
                calls.push(call(plain).with("transfer-encoding", "chunked"));
            }
            for bad in calls {
                let failure = fixture.expect_failure(&mut connection, bad).await;
                assert_eq!(failure.code, Code::ResourceExhausted, "{transport:?}");
                assert_eq!(failure.message, "the message is larger than the server takes");
            }
        }
        fixture.assert_unchanged().await;
    });
}

#[test]
fn malformed_frames_are_rejected() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let whole = frame(0, &encode(rpc::JOIN, &json!({"inviteId": fixture.token})));
        let bodies: [(Bytes, &str); 6] = [
            (whole.slice(..1), "ends before"),
            (whole.slice(..4), "ends before"),
            (whole.slice(..5), "ends before"),
            (whole.slice(..whole.len() - 1), "ends before"),
            (frame(7, b""), "compression flag"),
            (Bytes::from_static(b"POST / HTTP/1.1"), "compression flag"),
        ];
        for transport in Transport::framed() {
            let mut connection = transport.connect(app).await;
            for (body, words) in &bodies {
                let bad = TestRequest::raw(transport, rpc::JOIN, transport.wrap(body))
                    .by(&fixture.org.stranger);
                let failure =
                    fixture.expect_invalid_argument(&mut connection, bad, &["body"]).await;
                assert!(failure.message.contains(words), "{transport:?} {failure:?}");
            }
        }
        for transport in Transport::of(Form::WebText) {
            let mut connection = transport.connect(app).await;
            for body in ["AAAA*AAA", "AAAAA", "no base64"] {
                let bad = TestRequest::raw(transport, rpc::JOIN, body).by(&fixture.org.stranger);
                let failure =
                    fixture.expect_invalid_argument(&mut connection, bad, &["body"]).await;
                assert!(failure.message.contains("is not base64"), "{transport:?} {failure:?}");
            }
        }
        fixture.assert_unchanged().await;
    });
}

/// The client closes its sending side in the middle of the body and still reads the response.
#[test]
fn bodies_that_end_early_are_rejected() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let key = fixture.org.stranger.key.clone().unwrap();
        for transport in
            Transport::ALL.into_iter().filter(|transport| transport.version == Version::HTTP_11)
        {
            let whole = transport.body(rpc::JOIN, &json!({"inviteId": fixture.token}));
            let head = format!(
                "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: {}\r\n",
                rpc::JOIN,
                transport.content_type(),
            );
            let half = String::from_utf8_lossy(&whole[..whole.len() / 2]).into_owned();
            for rest in [
                format!("content-length: {}\r\n\r\n{half}", whole.len()),
                format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{half}\r\n", half.len()),
                format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{half}\r\nzz\r\n", half.len()),
            ] {
                let mut stream = TcpStream::connect(app.addr()).await.unwrap();
                stream.write_all(format!("{head}{rest}").as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                let status = answer.lines().next().unwrap();
                if transport.is_framed() {
                    assert_eq!(status, "HTTP/1.1 200 OK");
                    assert!(answer.contains("\r\ngrpc-status: 3\r\n"), "{answer}");
                } else {
                    assert_eq!(status, "HTTP/1.1 400 Bad Request");
                    assert!(answer.contains("\"code\":\"invalid_argument\""), "{answer}");
                    assert!(answer.contains("body: ends before its message does"), "{answer}");
                }
                assert!(!answer.contains(&fixture.token) && !answer.contains("hyper"), "{answer}");
            }
        }
        fixture.assert_unchanged().await;
    });
}

#[test]
fn unsupported_compressions_are_rejected() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let request = json!({"inviteId": fixture.token});
        for transport in Transport::ALL {
            let mut connection = transport.connect(app).await;
            let header = if transport.is_framed() { "grpc-encoding" } else { "content-encoding" };
            for encoding in ["br", "zstd", "deflate", "gzip, br", "x"] {
                let body = match transport.form {
                    Form::Json => request.to_string().into(),
                    Form::Proto => encode(rpc::JOIN, &request).into(),
                    _ => transport.wrap(&frame(1, &encode(rpc::JOIN, &request))),
                };
                let bad = TestRequest::raw(transport, rpc::JOIN, body).with(header, encoding);
                let answer =
                    fixture.send_invalid(&mut connection, bad.by(&fixture.org.stranger)).await;
                let failure = transport.read(rpc::JOIN, &answer).unwrap_err();
                assert_eq!(failure.code, Code::Unimplemented, "{transport:?} {encoding}");
                if transport.is_framed() {
                    assert_eq!(answer.header("grpc-accept-encoding"), Some("gzip,identity"));
                } else {
                    assert!(failure.message.contains("gzip"), "{failure:?}");
                }
            }
            // The header names gzip, but the message is not compressed.
            let body = match transport.form {
                Form::Json => request.to_string().into(),
                Form::Proto => encode(rpc::JOIN, &request).into(),
                _ => transport.wrap(&frame(1, &encode(rpc::JOIN, &request))),
            };
            let bad = TestRequest::raw(transport, rpc::JOIN, body).with(header, "gzip");
            let bad = bad.by(&fixture.org.stranger);
            let failure = fixture.expect_invalid_argument(&mut connection, bad, &["body"]).await;
            assert!(failure.message.contains("cannot be decompressed"), "{failure:?}");
        }
        // The flag marks the message as compressed, but no header names the encoding.
        for transport in Transport::framed() {
            let mut connection = transport.connect(app).await;
            let body = transport.wrap(&frame(1, &gzip(&encode(rpc::JOIN, &request))));
            let bad = TestRequest::raw(transport, rpc::JOIN, body).by(&fixture.org.stranger);
            let failure = fixture.expect_failure(&mut connection, bad).await;
            assert_eq!(failure.code, Code::Internal, "gRPC requires this code");
            assert!(failure.message.contains("no header says how"), "{failure:?}");
        }
        fixture.assert_unchanged().await;
    });
}
