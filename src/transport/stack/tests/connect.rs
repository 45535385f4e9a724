use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use serde_json::json;

const JSON: (&str, &str) = ("content-type", "application/json");
const PROTO: (&str, &str) = ("content-type", "application/proto");

async fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    send(&stack(), new_request(Method::POST, path, headers, body)).await
}

#[tokio::test]
async fn json_and_protobuf_are_supported() {
    let answer = post(RESOLVE, &[JSON], br#"{"subject": "x", "unknown": 1}"#).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let json = answer.json();
    assert_eq!(json["account"]["subject"], "x");
    // Default values are written.
    assert_eq!(json["account"]["emailVerified"], false);

    let answer = post(RESOLVE, &[PROTO], &resolve("").encode_to_vec()).await;
    assert_eq!(answer.header("content-type"), Some("application/proto"));
    let message = pb::ResolveAccountResponse::decode(answer.body).unwrap();
    assert_eq!(message.account.unwrap().subject, "subject");
}

#[tokio::test]
async fn metadata_is_forwarded_and_the_path_prefix_is_optional() {
    let headers =
        [JSON, ("x-custom", "mine"), ("x-request-id", "req-1"), ("grpc-encoding", "gzip")];
    let answer = post(&format!("/api{GET_CALLER}"), &headers, b"{}").await;
    let json = answer.json();
    assert_eq!(json["account"]["id"], ACCOUNT.to_string());
    assert_eq!(json["scope"], "mine");
    assert_eq!(json["keyId"], "req-1");
    assert_eq!(answer.header("x-request-id"), Some("req-1"));
    assert_eq!(answer.header("x-answer"), Some("metadata"));
    assert_eq!(answer.headers.get_all("content-type").iter().count(), 1);
}

#[tokio::test]
async fn p28_get_is_for_methods_without_side_effects_only() {
    let message = URL_SAFE_NO_PAD.encode(pb::GetCallerRequest {}.encode_to_vec());
    for query in [
        format!("connect=v1&encoding=proto&base64=1&message={message}"),
        "connect=v1&encoding=json&message=%7B%7D".to_owned(),
    ] {
        let path = format!("{GET_CALLER}?{query}");
        let answer = send(&stack(), new_request(Method::GET, &path, &[], b"")).await;
        assert_eq!(answer.status, 200, "{query}");
    }

    let path = format!("{RESOLVE}?connect=v1&encoding=json&message=%7B%7D");
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
        let answer = send(&stack(), new_request(method, &path, &[], b"")).await;
        assert_eq!(answer.status, 405);
        assert_eq!(answer.header("allow"), Some("POST"));
    }
    let answer = send(&stack(), new_request(Method::OPTIONS, GET_CALLER, &[], b"")).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (204, Some("GET, POST")));
}

#[tokio::test]
async fn gzip_and_identity_encodings_are_supported() {
    let registry = connectrpc::CompressionRegistry::default();
    let subject = "x".repeat(900);
    let body = format!("{{\"subject\": \"{subject}\"}}");
    let packed = registry.compress("gzip", body.as_bytes()).unwrap();
    let headers = [JSON, ("content-encoding", "gzip"), ("accept-encoding", "br, gzip")];
    let answer = post(RESOLVE, &headers, &packed).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let unpacked = registry.decompress_with_limit("gzip", answer.body, 4096).unwrap();
    assert!(String::from_utf8_lossy(&unpacked).contains(&subject));

    // Decompression stops at the limit.
    let bomb = registry.compress("gzip", &[b' '; 1 << 20]).unwrap();
    let answer = post(RESOLVE, &headers, &bomb).await;
    assert_eq!(answer.status, 429);

    let answer = post(RESOLVE, &[JSON, ("content-encoding", "identity")], b"{}").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-encoding")), (200, None));
}

#[tokio::test]
async fn invalid_input_is_a_connect_error() {
    let large = format!("{{\"subject\": \"{}\"}}", "x".repeat(2000)).into_bytes();
    for (headers, body, status, code) in [
        (&[JSON][..], &b"{"[..], 400, "invalid_argument"),
        (&[JSON], b"", 400, "invalid_argument"),
        (&[JSON], b"{\"subject\": 5}", 400, "invalid_argument"),
        (&[JSON], b"\xff\xfe", 400, "invalid_argument"),
        (&[PROTO], b"\xff\xff\xff", 400, "invalid_argument"),
        (&[JSON, ("content-encoding", "br")], b"{}", 501, "unimplemented"),
        (&[JSON, ("content-encoding", "gzip")], b"{}", 400, "invalid_argument"),
        (&[JSON, ("connect-timeout-ms", "soon")], b"{}", 400, "invalid_argument"),
        (&[JSON, ("connect-timeout-ms", "0")], b"{}", 504, "deadline_exceeded"),
        (&[JSON, ("connect-protocol-version", "2")], b"{}", 400, "invalid_argument"),
        (&[JSON], &large, 429, "resource_exhausted"),
        (&[JSON, ("authorization", "-")], b"{}", 401, "unauthenticated"),
        (&[JSON, ("authorization", "Bearer bad")], b"{}", 401, "unauthenticated"),
    ] {
        let answer = post(RESOLVE, headers, body).await;
        let json = answer.json();
        assert_eq!(
            (answer.status.as_u16(), &json["code"]),
            (status, &json!(code)),
            "{headers:?} {json}"
        );
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(answer.header("x-request-id").is_some());
        let no_retry = (status == 501).then_some("false");
        assert_eq!(answer.header("x-should-retry"), no_retry);
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
    }
}

#[tokio::test]
async fn the_error_for_an_unknown_path_does_not_repeat_it() {
    for (path, status) in [
        ("/v1/secret-token", 404),
        ("/no.such.Service/CallInfo", 404),
        ("/guestlist.v1.AccountService", 404),
        ("/a/b/c", 404),
        ("/favicon.ico", 404),
        // The service exists, so the code and the status are Connect's.
        ("/guestlist.v1.AccountService/Nothing", 501),
    ] {
        for method in [Method::GET, Method::POST] {
            let answer = send(&stack(), new_request(method, path, &[JSON], b"{}")).await;
            assert_eq!(answer.status, status, "{path}");
            assert_eq!(answer.json()["code"], "unimplemented");
            assert!(!answer.json().to_string().contains(path));
        }
    }
}

#[tokio::test]
async fn connect_errors_have_details() {
    let answer = post(RESOLVE, &[JSON], br#"{"issuer": "taken"}"#).await;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let json = answer.json();
    assert_eq!((&json["code"], &json["message"]), (&json!("already_exists"), &json!("taken")));
    assert_eq!(json["details"][0]["debug"]["reason"], "ALREADY_MEMBER");

    let answer = post(RESOLVE, &[JSON], br#"{"subject": []}"#).await;
    let details = answer.json()["details"].clone();
    let bad_request =
        details.as_array().unwrap().iter().find(|detail| detail["type"] == "google.rpc.BadRequest");
    assert_eq!(bad_request.unwrap()["debug"]["fieldViolations"][0]["field"], "subject");
}

#[tokio::test]
async fn an_unsupported_content_type_is_an_http_error() {
    const WATCH: &str = "/grpc.health.v1.Health/Watch";
    let unary = "application/json, application/proto";
    let stream = "application/connect+json, application/connect+proto";
    for (path, content_type, accepted) in [
        (RESOLVE, "text/plain", unary),
        (RESOLVE, "-", unary),
        (RESOLVE, "application/connect+json", unary),
        (WATCH, "application/json", stream),
        (WATCH, "application/proto", stream),
    ] {
        let answer = post(path, &[("content-type", content_type)], b"{}").await;
        assert_eq!((answer.status.as_u16(), answer.header("accept-post")), (415, Some(accepted)));
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    }
}

#[tokio::test]
async fn an_error_of_a_stream_is_a_stream() {
    for (content_type, good) in [
        ("application/connect+proto", &b"\0\0\0\0\0"[..]),
        ("application/connect+json", b"\0\0\0\0\x02{}"),
    ] {
        for (headers, body, code) in [
            (&[][..], &b"\0\0\0\0\x02\xff\xff"[..], "invalid_argument"),
            (&[], b"\0\0\0\0", "invalid_argument"),
            (&[], b"", "unimplemented"),
            (&[], &[good, good].concat(), "unimplemented"),
            (&[], b"\x01\0\0\0\0", "internal"),
            (&[], b"\0\xff\xff\xff\xff", "resource_exhausted"),
            (&[("connect-content-encoding", "br")], good, "unimplemented"),
            (&[("connect-timeout-ms", "0")], good, "deadline_exceeded"),
            (&[("connect-timeout-ms", "x")], good, "invalid_argument"),
            (&[("connect-protocol-version", "2")], good, "invalid_argument"),
        ] {
            let headers = [&[("content-type", content_type)], headers].concat();
            let answer = post("/grpc.health.v1.Health/Watch", &headers, body).await;
            assert_eq!((answer.status.as_u16(), answer.headers.len()), (200, 2), "{headers:?}");
            assert_eq!(answer.header("content-type"), Some(content_type));
            let mut frames = frames(answer.body);
            let (flag, end) = frames.pop().unwrap();
            let end: Json = serde_json::from_slice(&end).unwrap();
            let outcome = (flag, frames.len(), end["error"]["code"].as_str());
            assert_eq!(outcome, (2, 0, Some(code)), "{headers:?} {body:?} {end}");
        }
    }
}
