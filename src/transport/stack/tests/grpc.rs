use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use tonic_types::StatusExt;

const GRPC: (&str, &str) = ("content-type", "application/grpc");
const WEB: (&str, &str) = ("content-type", "application/grpc-web+proto");
const TEXT: (&str, &str) = ("content-type", "application/grpc-web-text");

async fn grpc(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut request = new_request(Method::POST, path, headers, body);
    if headers.contains(&GRPC) {
        *request.version_mut() = Version::HTTP_2;
    }
    send(&stack(), request).await
}

/// The status of a gRPC-Web response, in its headers or in its trailer frame.
fn web_status(answer: &Answer, body: Bytes) -> (i32, Vec<Bytes>) {
    let (trailers, messages): (Vec<_>, Vec<_>) =
        frames(body).into_iter().partition(|(flag, _)| *flag == 0x80);
    let messages = messages.into_iter().map(|(_, message)| message).collect();
    if let Some(status) = answer.header("grpc-status") {
        return (status.parse().unwrap(), messages);
    }
    let text = String::from_utf8(trailers[0].1.to_vec()).unwrap();
    let status = text.lines().find_map(|line| line.strip_prefix("grpc-status:")).unwrap();
    (status.trim().parse().unwrap(), messages)
}

#[tokio::test]
async fn a_grpc_call_returns_message_and_metadata() {
    let answer =
        grpc(GET_CALLER, &[GRPC, ("x-custom", "mine")], &frame(&pb::GetCallerRequest {})).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.grpc_status().code(), Code::Ok);
    assert_eq!(answer.header("x-answer"), Some("metadata"));
    let message = frames(answer.body).remove(0).1;
    let message = pb::GetCallerResponse::decode(message).unwrap();
    assert_eq!(message.account.unwrap().id, ACCOUNT.to_string());
    assert_eq!(message.scope, "mine");
}

#[tokio::test]
async fn grpc_web_supports_binary_and_text() {
    let request = frame(&resolve(""));
    let answer = grpc(RESOLVE, &[WEB], &request).await;
    assert_eq!(answer.header("content-type"), Some("application/grpc-web+proto"));
    let (code, messages) = web_status(&answer, answer.body.clone());
    assert_eq!((code, messages.len()), (0, 1));

    // A text request gets a text response, with or without `accept`.
    let encoded = STANDARD.encode(&request);
    let answer = grpc(RESOLVE, &[TEXT], encoded.as_bytes()).await;
    assert_eq!(answer.header("content-type"), Some("application/grpc-web-text+proto"));
    let (code, messages) = web_status(&answer, decode_text(&answer.body));
    let message = pb::ResolveAccountResponse::decode(messages[0].clone()).unwrap();
    assert_eq!((code, message.created), (0, true));
}

/// Base64 in chunks, each with its own padding.
fn decode_text(body: &[u8]) -> Bytes {
    let mut decoded = BytesMut::new();
    let mut rest = body;
    while !rest.is_empty() {
        let padding = rest.iter().position(|&b| b == b'=').unwrap_or(rest.len());
        let end = padding.div_ceil(4) * 4;
        decoded.put_slice(&STANDARD.decode(&rest[..end.min(rest.len())]).unwrap());
        rest = &rest[end.min(rest.len())..];
    }
    decoded.freeze()
}

#[tokio::test]
async fn invalid_input_is_a_grpc_error() {
    let good = frame(&resolve(""));
    let large =
        frame(&pb::ResolveAccountRequest { subject: "x".repeat(2000), ..Default::default() });
    for (path, headers, body, code) in [
        (RESOLVE, &[GRPC][..], &good[..3], Code::InvalidArgument),
        (RESOLVE, &[GRPC], &good[..good.len() - 1], Code::InvalidArgument),
        (RESOLVE, &[GRPC], b"", Code::Unimplemented),
        (RESOLVE, &[GRPC], &[&good[..], &good].concat(), Code::Unimplemented),
        (RESOLVE, &[GRPC], b"\0\0\0\0\x02\xff\xff", Code::InvalidArgument),
        (RESOLVE, &[GRPC], b"\x07\0\0\0\0", Code::InvalidArgument),
        (RESOLVE, &[GRPC], b"\x01\0\0\0\0", Code::Internal),
        (RESOLVE, &[GRPC], &large, Code::ResourceExhausted),
        (RESOLVE, &[GRPC, ("grpc-encoding", "br")], &good, Code::Unimplemented),
        (RESOLVE, &[GRPC, ("grpc-timeout", "soon")], &good, Code::InvalidArgument),
        (RESOLVE, &[GRPC, ("grpc-timeout", "0n")], &good, Code::DeadlineExceeded),
        (RESOLVE, &[GRPC, ("authorization", "-")], &good, Code::Unauthenticated),
        (RESOLVE, &[GRPC, ("authorization", "Bearer bad")], &good, Code::Unauthenticated),
        ("/guestlist.v1.AccountService/Nothing", &[GRPC], &good, Code::Unimplemented),
        ("/no/Service", &[GRPC], &good, Code::Unimplemented),
    ] {
        let answer = grpc(path, headers, body).await;
        let status = answer.grpc_status();
        assert_eq!((answer.status.as_u16(), status.code()), (200, code), "{headers:?} {status:?}");
        assert_eq!(answer.header("content-type"), Some("application/grpc"));
        assert!(!status.message().is_empty());
    }
    let answer = grpc(RESOLVE, &[("content-type", "application/grpc+json")], &good).await;
    // gRPC does not exist over HTTP/1.1.
    assert_eq!(answer.status, 505);
}

#[tokio::test]
async fn invalid_input_is_a_grpc_web_error() {
    let good = frame(&resolve(""));
    for (path, headers, body, code) in [
        (RESOLVE, &[WEB][..], &good[..3], Code::InvalidArgument),
        (RESOLVE, &[TEXT], b"no base64!", Code::InvalidArgument),
        (RESOLVE, &[WEB, ("authorization", "-")], &good, Code::Unauthenticated),
        (RESOLVE, &[WEB, ("grpc-timeout", "soon")], &good, Code::InvalidArgument),
        (RESOLVE, &[("content-type", "application/grpc-web+thrift")], &good, Code::Unimplemented),
        ("/no/Service", &[TEXT], &good, Code::Unimplemented),
    ] {
        let answer = grpc(path, headers, body).await;
        let (status, _) = web_status(&answer, Bytes::new());
        assert_eq!(status, code as i32, "{headers:?}");
        let expected = answer.header("content-type").unwrap();
        let is_text = headers.contains(&TEXT);
        assert_eq!(expected.contains("text"), is_text);
    }
    let answer = send(&stack(), new_request(Method::GET, RESOLVE, &[WEB], b"")).await;
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn grpc_errors_have_details() {
    let answer = grpc(RESOLVE, &[GRPC], &frame(&resolve("taken"))).await;
    let status = answer.grpc_status();
    assert_eq!(status.code(), Code::AlreadyExists);
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("ALREADY_MEMBER", "guestlist"));
}
