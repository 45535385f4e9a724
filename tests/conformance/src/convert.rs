//! Converts headers, errors and requests between the suite's types and tonic's types.

use std::time::Duration;

use prost::{Message, Name};
use prost_types::Any;
use tonic::metadata::{KeyAndValueRef, KeyRef, MetadataMap};
use tonic::{Code, Status};

use crate::pb;
use crate::pb::conformance_payload::RequestInfo;

/// What the suite wants to know about a call: its headers, its timeout, its messages.
pub fn request_info(metadata: &MetadataMap, requests: Vec<Any>) -> RequestInfo {
    let value = |entry| match entry {
        KeyAndValueRef::Ascii(_, value) => value.to_str().unwrap_or_default().to_owned(),
        KeyAndValueRef::Binary(_, value) => {
            String::from_utf8_lossy(value.as_encoded_bytes()).into()
        }
    };
    let header = |name: KeyRef<'_>| {
        let name = match name {
            KeyRef::Ascii(name) => name.as_str(),
            KeyRef::Binary(name) => name.as_str(),
        };
        let of_name = |entry: &KeyAndValueRef<'_>| match entry {
            KeyAndValueRef::Ascii(other, _) => other.as_str() == name,
            KeyAndValueRef::Binary(other, _) => other.as_str() == name,
        };
        let value = metadata.iter().filter(of_name).map(value).collect();
        pb::Header { name: name.to_owned(), value }
    };
    RequestInfo {
        request_headers: metadata.keys().map(header).collect(),
        timeout_ms: metadata
            .get("grpc-timeout")
            .and_then(|value| milliseconds(value.to_str().ok()?)),
        requests,
    }
}

/// The milliseconds of a `grpc-timeout` value.
fn milliseconds(timeout: &str) -> Option<i64> {
    let (digits, unit) = timeout.split_at_checked(timeout.len().checked_sub(1)?)?;
    let number = digits.parse().ok()?;
    let span = match unit {
        "H" => Duration::from_secs(number).saturating_mul(3600),
        "M" => Duration::from_secs(number).saturating_mul(60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    };
    i64::try_from(span.as_millis()).ok()
}

/// Headers or trailers as an HTTP header map.
pub fn headers(given: &[pb::Header]) -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    for header in given {
        for value in &header.value {
            let name = http::HeaderName::try_from(&header.name).expect("a header's name");
            headers.append(name, value.parse().expect("a header's value"));
        }
    }
    headers
}

/// The requested error. `more` is added to its details.
pub fn status(error: &pb::Error, more: Option<&RequestInfo>, metadata: http::HeaderMap) -> Status {
    let message = error.message.clone().unwrap_or_default();
    let mut details = error.details.clone();
    details.extend(more.map(any));
    let details = tonic_types::pb::Status { code: error.code, message: message.clone(), details };
    let details = details.encode_to_vec().into();
    let metadata = MetadataMap::from_headers(metadata);
    Status::with_details_and_metadata(Code::from_i32(error.code), message, details, metadata)
}

/// A message with its type's name.
pub fn any<M: Message + Name>(message: &M) -> Any {
    Any {
        type_url: format!("type.googleapis.com/{}", M::full_name()),
        value: message.encode_to_vec(),
    }
}
