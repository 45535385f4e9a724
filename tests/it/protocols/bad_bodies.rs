//! Bodies that are empty, too large, broken off or packed in no known way.

use bytes::Bytes;
use http::Version;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::ask::Ask;
use super::door::{Door, Form, encode, frame};
use super::world::World;
use super::{gzip, rpc, served};
use crate::support::Code;

#[test]
fn empty_bodies() {
    served(async |app| {
        let world = World::new(app).await;
        for door in Door::ALL {
            let mut connection = door.connect(app).await;
            let bad = Ask::raw(door, rpc::GET, Bytes::new()).by(&world.org.admin);
            if door.is_framed() {
                let failure = world.refused(&mut connection, bad).await;
                assert_eq!(failure.code, Code::Unimplemented, "{door:?}");
                continue;
            }
            // In protobuf it is a message, with nothing in it.
            let (field, words) = match door.form {
                Form::Proto => ("organization_id", "must be a UUID"),
                _ => ("body", "is empty; send a JSON object"),
            };
            let failure = world.invalid(&mut connection, bad, &[field]).await;
            assert!(failure.message.contains(words), "{failure:?}");
        }
        world.is_as_before().await;
    });
}

#[test]
fn bodies_of_two_mebibytes() {
    served(async |app| {
        let world = World::new(app).await;
        // In a field that nobody knows, so that only its size is wrong.
        let large = vec![b'x'; 2 << 20];
        let of_json = json!({"inviteId": world.token, "unknown": String::from_utf8_lossy(&large)});
        let mut of_proto = encode(rpc::JOIN, &json!({"inviteId": world.token}));
        // Field 15, of 2 MiB.
        of_proto.extend(b"\x7a\x80\x80\x80\x01".iter().chain(&large));

        for door in Door::ALL {
            let mut connection = door.connect(app).await;
            let plain = match door.form {
                Form::Json => of_json.to_string().into(),
                Form::Proto => of_proto.clone().into(),
                _ => door.wrap(&frame(0, &of_proto)),
            };
            let (packed, encoding) = match door.form {
                Form::Json => (gzip(of_json.to_string().as_bytes()), "content-encoding"),
                Form::Proto => (gzip(&of_proto), "content-encoding"),
                _ => (door.wrap(&frame(1, &gzip(&of_proto))), "grpc-encoding"),
            };
            assert!(packed.len() < 16 * 1024, "it is small on the wire");
            let ask = |body| Ask::raw(door, rpc::JOIN, body).by(&world.org.stranger);
            let mut asks = vec![ask(plain.clone()), ask(packed).with(encoding, "gzip")];
            if door.version == Version::HTTP_11 {
                asks.push(ask(plain).with("transfer-encoding", "chunked"));
            }
            for bad in asks {
                let failure = world.refused(&mut connection, bad).await;
                assert_eq!(failure.code, Code::ResourceExhausted, "{door:?}");
                assert_eq!(failure.message, "the message is larger than the server takes");
            }
        }
        world.is_as_before().await;
    });
}

#[test]
fn truncated_frames() {
    served(async |app| {
        let world = World::new(app).await;
        let whole = frame(0, &encode(rpc::JOIN, &json!({"inviteId": world.token})));
        let bodies: [(Bytes, &str); 6] = [
            (whole.slice(..1), "ends before"),
            (whole.slice(..4), "ends before"),
            (whole.slice(..5), "ends before"),
            (whole.slice(..whole.len() - 1), "ends before"),
            (frame(7, b""), "compression flag"),
            (Bytes::from_static(b"POST / HTTP/1.1"), "compression flag"),
        ];
        for door in Door::framed() {
            let mut connection = door.connect(app).await;
            for (body, words) in &bodies {
                let bad = Ask::raw(door, rpc::JOIN, door.wrap(body)).by(&world.org.stranger);
                let failure = world.invalid(&mut connection, bad, &["body"]).await;
                assert!(failure.message.contains(words), "{door:?} {failure:?}");
            }
        }
        for door in Door::of(Form::WebText) {
            let mut connection = door.connect(app).await;
            for body in ["AAAA*AAA", "AAAAA", "no base64"] {
                let bad = Ask::raw(door, rpc::JOIN, body).by(&world.org.stranger);
                let failure = world.invalid(&mut connection, bad, &["body"]).await;
                assert!(failure.message.contains("is not base64"), "{door:?} {failure:?}");
            }
        }
        world.is_as_before().await;
    });
}

/// The client stops sending in the middle, and listens.
#[test]
fn bodies_that_break_off() {
    served(async |app| {
        let world = World::new(app).await;
        let key = world.org.stranger.key.clone().unwrap();
        for door in Door::ALL.into_iter().filter(|door| door.version == Version::HTTP_11) {
            let whole = door.body(rpc::JOIN, &json!({"inviteId": world.token}));
            let head = format!(
                "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: {}\r\n",
                rpc::JOIN,
                door.content_type(),
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
                if door.is_framed() {
                    assert_eq!(status, "HTTP/1.1 200 OK");
                    assert!(answer.contains("\r\ngrpc-status: 3\r\n"), "{answer}");
                } else {
                    assert_eq!(status, "HTTP/1.1 400 Bad Request");
                    assert!(answer.contains("\"code\":\"invalid_argument\""), "{answer}");
                    assert!(answer.contains("body: ends before its message does"), "{answer}");
                }
                assert!(!answer.contains(&world.token) && !answer.contains("hyper"), "{answer}");
            }
        }
        world.is_as_before().await;
    });
}

#[test]
fn unsupported_encodings() {
    served(async |app| {
        let world = World::new(app).await;
        let request = json!({"inviteId": world.token});
        for door in Door::ALL {
            let mut connection = door.connect(app).await;
            let header = if door.is_framed() { "grpc-encoding" } else { "content-encoding" };
            for encoding in ["br", "zstd", "deflate", "gzip, br", "x"] {
                let body = match door.form {
                    Form::Json => request.to_string().into(),
                    Form::Proto => encode(rpc::JOIN, &request).into(),
                    _ => door.wrap(&frame(1, &encode(rpc::JOIN, &request))),
                };
                let bad = Ask::raw(door, rpc::JOIN, body).with(header, encoding);
                let answer = world.tries(&mut connection, bad.by(&world.org.stranger)).await;
                let failure = door.read(rpc::JOIN, &answer).unwrap_err();
                assert_eq!(failure.code, Code::Unimplemented, "{door:?} {encoding}");
                if door.is_framed() {
                    assert_eq!(answer.header("grpc-accept-encoding"), Some("gzip,identity"));
                } else {
                    assert!(failure.message.contains("gzip"), "{failure:?}");
                }
            }
            // Said to be packed, but not.
            let body = match door.form {
                Form::Json => request.to_string().into(),
                Form::Proto => encode(rpc::JOIN, &request).into(),
                _ => door.wrap(&frame(1, &encode(rpc::JOIN, &request))),
            };
            let bad = Ask::raw(door, rpc::JOIN, body).with(header, "gzip");
            let bad = bad.by(&world.org.stranger);
            let failure = world.invalid(&mut connection, bad, &["body"]).await;
            assert!(failure.message.contains("cannot be decompressed"), "{failure:?}");
        }
        // A compressed message without a word about how.
        for door in Door::framed() {
            let mut connection = door.connect(app).await;
            let body = door.wrap(&frame(1, &gzip(&encode(rpc::JOIN, &request))));
            let bad = Ask::raw(door, rpc::JOIN, body).by(&world.org.stranger);
            let failure = world.refused(&mut connection, bad).await;
            assert_eq!(failure.code, Code::Internal, "as gRPC wants it");
            assert!(failure.message.contains("no header says how"), "{failure:?}");
        }
        world.is_as_before().await;
    });
}
