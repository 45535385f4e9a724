//! Content types, verbs and paths that are not how a method is called.

use bytes::Bytes;
use http::{Method, Version};
use serde_json::json;

use super::ask::Ask;
use super::door::{Door, Form, encode, frame};
use super::world::World;
use super::{rpc, served};
use crate::support::Code;

#[test]
fn wrong_content_types() {
    served(async |app| {
        let world = World::new(app).await;
        let request = json!({"inviteId": world.token});
        for door in Door::ALL {
            let mut connection = door.connect(app).await;
            let ask = || Ask::new(door, rpc::JOIN, &request).by(&world.org.stranger);
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
            let mut asks: Vec<Ask> =
                unknown.iter().map(|text| ask().with("content-type", text)).collect();
            asks.push(ask().without("content-type"));
            for bad in asks {
                let answer = world.tries(&mut connection, bad).await;
                assert_eq!(answer.status, 415);
                assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
                let accepted = answer.headers.get_all("accept-post").iter();
                let accepted: Vec<_> = accepted.map(|types| types.to_str().unwrap()).collect();
                assert!(accepted[0].contains("application/json"), "{accepted:?}");
                assert!(accepted[1].contains("application/grpc"), "{accepted:?}");
                assert_eq!(answer.body, "send application/json or application/proto");
            }
        }
        world.is_as_before().await;
    });
}

/// gRPC's framing around messages of another kind is refused in gRPC.
#[test]
fn other_codecs_of_grpc() {
    served(async |app| {
        let world = World::new(app).await;
        let body = frame(0, json!({"inviteId": world.token}).to_string().as_bytes());
        for door in Door::framed() {
            let other = match door.form {
                Form::Grpc => ["application/grpc+cbor", "application/grpc+thrift"],
                Form::Web => ["application/grpc-web+cbor", "application/grpc-web+thrift"],
                _ => continue,
            };
            let mut connection = door.connect(app).await;
            for content_type in other {
                let bad = Ask::raw(door, rpc::JOIN, body.clone()).by(&world.org.stranger);
                let bad = bad.with("content-type", content_type);
                let failure = world.refused(&mut connection, bad).await;
                assert_eq!(failure.code, Code::Unimplemented);
                assert!(failure.message.contains("protobuf"), "{failure:?}");
            }
        }
        world.is_as_before().await;
    });
}

/// A content type that is known, but not what the body is.
#[test]
fn content_types_of_another_protocol() {
    served(async |app| {
        let world = World::new(app).await;
        let request = json!({"inviteId": world.token});
        for door in Door::ALL {
            let mut connection = door.connect(app).await;
            let others: [Bytes; 2] = match door.form {
                Form::Json => [encode(rpc::JOIN, &request).into(), frame(0, b"{}")],
                Form::Proto => [request.to_string().into(), frame(0, &encode(rpc::JOIN, &request))],
                _ => [request.to_string().into(), encode(rpc::JOIN, &request).into()],
            };
            for body in others {
                let bad = Ask::raw(door, rpc::JOIN, body).by(&world.org.stranger);
                world.invalid(&mut connection, bad, &["body"]).await;
            }
        }
        world.is_as_before().await;
    });
}

#[test]
fn grpc_over_http_1() {
    served(async |app| {
        let world = World::new(app).await;
        let grpc = Door { form: Form::Grpc, version: Version::HTTP_11 };
        let json = Door { form: Form::Json, version: Version::HTTP_11 };
        let mut connection = json.connect(app).await;
        let body = grpc.body(rpc::JOIN, &json!({"inviteId": world.token}));
        let bad = Ask::raw(json, rpc::JOIN, body).by(&world.org.stranger);
        let answer =
            world.tries(&mut connection, bad.with("content-type", "application/grpc")).await;
        assert_eq!(answer.status, 505);
        assert!(answer.json()["message"].as_str().unwrap().contains("needs HTTP/2"));
        world.is_as_before().await;
    });
}

#[test]
fn wrong_verbs() {
    served(async |app| {
        let world = World::new(app).await;
        let request = json!({"inviteId": world.token});
        let verbs = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "post"];
        for door in Door::ALL {
            let mut connection = door.connect(app).await;
            for verb in verbs {
                let verb: Method = verb.parse().unwrap();
                let bad = Ask::new(door, rpc::JOIN, &request).by(&world.org.stranger);
                let answer = world.tries(&mut connection, bad.verb(verb.clone())).await;
                assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("POST")));
                if verb == Method::HEAD {
                    assert!(answer.body.is_empty());
                } else if door.is_framed() {
                    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
                    assert!(answer.says("allow header"));
                } else {
                    assert_eq!(answer.json()["code"], "unknown");
                    assert!(answer.json()["message"].as_str().unwrap().contains("allow header"));
                }
            }
            // What proxies and frameworks read as another verb is not read here.
            for (name, path) in [
                ("x-http-method-override", rpc::JOIN.to_owned()),
                ("x-http-method", format!("{}?_method=POST", rpc::JOIN)),
            ] {
                let bad = Ask::new(door, rpc::JOIN, &request).path(&path).verb(Method::PUT);
                let bad = bad.by(&world.org.stranger).with(name, "POST");
                assert_eq!(world.tries(&mut connection, bad).await.status, 405);
            }
        }
        world.is_as_before().await;
    });
}

#[test]
fn paths_that_are_none_of_ours() {
    served(async |app| {
        let world = World::new(app).await;
        let token = &world.token;
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
        let of_ours = [
            format!("{}/", rpc::JOIN),
            format!("{}/{token}", rpc::JOIN),
            format!("/gitpod.v1.OrganizationService/{token}"),
            "/gitpod.v1.OrganizationService/Join%4Frganization".to_owned(),
            "/gitpod.v1.OrganizationService/joinOrganization".to_owned(),
        ];
        for door in Door::ALL {
            let mut connection = door.connect(app).await;
            for path in unknown.iter().chain(&of_ours) {
                let bad = Ask::new(door, rpc::JOIN, &json!({"inviteId": token})).path(path);
                let answer = world.tries(&mut connection, bad.by(&world.org.stranger)).await;
                if door.is_framed() {
                    let failure = door.read(rpc::JOIN, &answer).unwrap_err();
                    assert_eq!(failure.code, Code::Unimplemented, "{path}");
                } else {
                    // Connect tells a method that a service lacks from no service at all.
                    let expected = if of_ours.contains(path) { 501 } else { 404 };
                    assert_eq!(answer.status, expected, "{path}");
                    assert_eq!(answer.json()["code"], "unimplemented");
                }
            }
        }
        world.is_as_before().await;
    });
}
