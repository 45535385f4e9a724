//! A message has the same result in every protocol and encoding. An input is one of
//!
//! * `?`: the query of a Connect GET,
//! * `{`: a message as JSON,
//! * anything else: the body of a call, in gRPC's or Connect's envelopes.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use guestlist::proto::FILE_DESCRIPTOR_SET;
use guestlist::proto::gitpod::v1::ListMembersResponse;
use guestlist::transport::protocol::json;
use http::{Method, Version, header};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode, percent_encode};
use prost::Message;
use prost_reflect::DescriptorPool;
use std::sync::LazyLock;
use tonic::Code;

use super::Fixture;
use super::answer::Outcome;
use super::fixture::Changed;

/// A method that accepts GET, with a complex request message.
const METHOD: &str = "/gitpod.v1.OrganizationService/ListMembers";
/// A method that streams in both directions, and ends when its caller ends the request.
const STREAM: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

static TYPES: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("descriptors"));

/// Runs an input. Its first byte says what kind of input it is.
pub fn run(fixture: &Fixture, data: &[u8]) {
    let data = fixture.fill_in(data);
    match data.first() {
        Some(b'?') => query(fixture, &data[1..]),
        Some(b'{') => message(fixture, &data),
        _ => drop(envelopes(fixture, &data)),
    }
}

/// If a GET succeeds, a POST with the same message has the same result.
fn query(fixture: &Fixture, query: &[u8]) {
    let Ok(query) = std::str::from_utf8(query) else { return };
    let Some(by_get) = get(fixture, query) else { return };
    if by_get.code != Code::Ok {
        return;
    }
    let parameter = |name: &str| {
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let values: Vec<&str> =
            pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).collect();
        match values[..] {
            [] => Some(Vec::new()),
            [value] => Some(percent_decode(value.replace('+', " ").as_bytes()).collect()),
            // No rule says which of several values counts.
            _ => None,
        }
    };
    let names = ["message", "encoding", "base64", "compression"];
    let [Some(message), Some(encoding), Some(base64), Some(compression)] = names.map(parameter)
    else {
        return;
    };
    if !compression.is_empty() && compression != b"identity" {
        return;
    }
    let message = if base64 == b"1" {
        let unpadded = message.split(|byte| *byte == b'=').next().unwrap_or_default();
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        engine.decode(unpadded).expect("the server accepted it as base64")
    } else {
        message
    };
    let content_type = format!("application/{}", String::from_utf8_lossy(&encoding));
    let by_post = post(fixture, METHOD, &content_type, message.into());
    assert_same_outcome(&by_get, &by_post, content_type.ends_with("json"), "GET and POST");
}

/// Sends a message as JSON and as protobuf, in every protocol.
fn message(fixture: &Fixture, text: &[u8]) {
    let escaped = percent_encode(text, NON_ALPHANUMERIC);
    let by_json = post(fixture, METHOD, "application/json", Bytes::copy_from_slice(text));
    let by_get = get(fixture, &format!("connect=v1&encoding=json&message={escaped}"));
    let by_get = by_get.expect("the query is valid");
    assert_same_outcome(&by_json, &by_get, true, "JSON by POST and by GET");
    for content_type in ["application/grpc+json", "application/grpc-web+json"] {
        let by_grpc = post(fixture, METHOD, content_type, envelope(text));
        assert_same_outcome(&by_json, &by_grpc, true, "JSON by Connect and by gRPC");
    }

    let input = TYPES.get_message_by_name("gitpod.v1.ListMembersRequest").expect("a type");
    let Ok(encoded) = json::decode(&input, text, None) else {
        assert_eq!(by_json.code, Code::InvalidArgument);
        return;
    };
    let by_proto = post(fixture, METHOD, "application/proto", encoded.clone());
    assert_eq!(by_json.code, by_proto.code, "JSON and protobuf");
    let base64 = URL_SAFE.encode(&encoded);
    let by_get = get(fixture, &format!("connect=v1&encoding=proto&base64=1&message={base64}"));
    assert_same_outcome(
        &by_proto,
        &by_get.expect("the query is valid"),
        false,
        "protobuf by POST and by GET",
    );
    assert_same_outcome(
        &by_proto,
        &envelopes(fixture, &envelope(&encoded)),
        false,
        "Connect and gRPC",
    );
}

fn envelope(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("it is short");
    [&[0][..], &length.to_be_bytes(), message].concat().into()
}

/// Sends the same envelopes over gRPC and both forms of gRPC-Web, and also as a Connect stream,
/// which must end with the last frame of a stream.
fn envelopes(fixture: &Fixture, body: &[u8]) -> Outcome {
    let whole = Bytes::copy_from_slice(body);
    let by_grpc = post(fixture, METHOD, "application/grpc", whole.clone());
    let by_web = post(fixture, METHOD, "application/grpc-web+proto", whole.clone());
    assert_same_outcome(&by_grpc, &by_web, false, "gRPC and gRPC-Web");
    let text = STANDARD.encode(body);
    let by_text = post(fixture, METHOD, "application/grpc-web-text+proto", text.into());
    assert_same_outcome(&by_web, &by_text, false, "gRPC-Web in binary and as text");
    for content_type in ["application/connect+proto", "application/connect+json"] {
        post(fixture, STREAM, content_type, whole.clone());
    }
    by_grpc
}

fn post(fixture: &Fixture, method: &str, content_type: &str, body: Bytes) -> Outcome {
    let request = http::Request::post(method)
        .version(Version::HTTP_2)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::TE, "trailers");
    send(fixture, request.body(body).expect("a request")).expect("a response of its protocol")
}

/// `None` if HTTP does not allow the query, or if it names an encoding that does not exist.
fn get(fixture: &Fixture, query: &str) -> Option<Outcome> {
    let uri: http::Uri = format!("{METHOD}?{query}").parse().ok()?;
    let request = http::Request::builder().method(Method::GET).uri(uri);
    send(fixture, request.body(Bytes::new()).ok()?)
}

/// Sends a request. A unary method must return either one message or an error.
fn send(fixture: &Fixture, request: http::Request<Bytes>) -> Option<Outcome> {
    let unary = request.uri().path() == METHOD;
    let (answer, changed) = fixture.send(request);
    answer.check();
    assert_eq!(changed, Changed::No, "a list changes nothing");
    let outcome = answer.outcome()?;
    let expected = usize::from(outcome.code == Code::Ok);
    assert!(!unary || outcome.messages.len() == expected, "{outcome:?}");
    Some(outcome)
}

/// Asserts that codes and messages are equal, except page tokens, which differ each time.
fn assert_same_outcome(one: &Outcome, other: &Outcome, json: bool, what: &str) {
    let comparable = |outcome: &Outcome| {
        let Some(message) = outcome.messages.first() else {
            return (outcome.code, Vec::new());
        };
        if json {
            let mut message: serde_json::Value = serde_json::from_slice(message).expect("JSON");
            if let Some(token) = message.pointer_mut("/pagination/nextToken") {
                *token = serde_json::Value::Bool(token != "");
            }
            return (outcome.code, message.to_string().into_bytes());
        }
        let mut message = ListMembersResponse::decode(message.clone()).expect("a list of members");
        if let Some(pagination) = &mut message.pagination {
            pagination.next_token = (!pagination.next_token.is_empty()).to_string();
        }
        (outcome.code, message.encode_to_vec())
    };
    assert_eq!(comparable(one), comparable(other), "{what}: {one:?} and {other:?}");
}
