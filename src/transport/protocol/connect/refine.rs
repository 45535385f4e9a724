//! What the `connectrpc` crate itself refuses, in the words and with the details
//! that refusals of ours have.
//!
//! The crate's own texts repeat what was sent and tell of its insides, and a body
//! that breaks off counts as a fault of ours there. Errors with details are ours
//! and left alone.

use bytes::Bytes;
use connectrpc::ConnectRpcBody;
use http::Method;
use http_body_util::BodyExt;
use serde::Deserialize;
use tonic::Status;

use crate::error::Error;
use crate::transport::layers::refine::too_large;
use crate::transport::status::to_status;

/// A Connect error, as far as it is looked at.
#[derive(Deserialize)]
struct Refusal {
    message: String,
    #[serde(default)]
    details: Vec<serde_json::Value>,
}

/// The status to answer instead of a refusal of the crate's, and the answer as it
/// is if that may stand.
pub async fn refined(
    method: &Method,
    response: http::Response<ConnectRpcBody>,
) -> Result<http::Response<ConnectRpcBody>, Status> {
    if response.status().is_success() {
        return Ok(response);
    }
    let (head, body) = response.into_parts();
    let ConnectRpcBody::Full(mut whole) = body else {
        return Ok(http::Response::from_parts(head, body));
    };
    let bytes = match whole.frame().await {
        Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        _ => Bytes::new(),
    };
    match serde_json::from_slice(&bytes).ok().and_then(|refusal| in_our_words(method, &refusal)) {
        Some(status) => Err(status),
        None => Ok(http::Response::from_parts(head, ConnectRpcBody::Full(bytes.into()))),
    }
}

fn in_our_words(method: &Method, refusal: &Refusal) -> Option<Status> {
    if !refusal.details.is_empty() {
        return None;
    }
    let is_get = method == Method::GET;
    let starts = |prefix: &str| refusal.message.starts_with(prefix);
    let invalid = |field: &str, what: &str| Some(to_status(Error::invalid(field, what)));
    if starts("failed to read request body") {
        invalid("body", "ends before its message does")
    } else if starts("request body size") || starts("decompressed size") || starts("message size") {
        Some(too_large())
    } else if starts("unsupported compression") {
        Some(Status::unimplemented("a message may be compressed with gzip, or not at all"))
    } else if refusal.message.contains("gzip") {
        let (field, header) =
            if is_get { ("message", "compression") } else { ("body", "content-encoding") };
        invalid(field, &format!("cannot be decompressed as {header} says"))
    } else if starts("unsupported protocol version") {
        let (field, what) = if is_get {
            ("connect", "must be v1")
        } else {
            ("connect-protocol-version", "must be 1")
        };
        invalid(field, what)
    } else if starts("GET request requires") {
        invalid("encoding", "must be json or proto")
    } else if starts("invalid base64") {
        invalid("message", "must be base64 as URLs have it")
    } else {
        None
    }
}
