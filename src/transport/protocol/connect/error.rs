//! A gRPC status as a Connect error, with the HTTP headers that belong to it.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use connectrpc::{ConnectError, ConnectRpcBody, ErrorCode, ErrorDetail};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::Full;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use tonic::Status;
use tonic::body::Body;
use tonic_types::StatusExt;

use crate::transport::Response;
use crate::transport::protocol::frame;

const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The types of error details, to print them as JSON beside their bytes.
static DETAIL_TYPES: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(tonic_types::pb::FILE_DESCRIPTOR_SET).ok());

/// The Connect error with the code, message, details, retry delay and metadata of a status.
pub fn from_status(status: &Status) -> ConnectError {
    let code = ErrorCode::from_grpc_code(status.code() as u32).unwrap_or(ErrorCode::Unknown);
    let mut error = ConnectError::new(code, status.message());
    // Details that do not decode are left out; code and message stay.
    if let Ok(packed) = tonic_types::pb::Status::decode(status.details()) {
        error.details = packed.details.iter().map(detail).collect();
    }

    let mut headers = HeaderMap::new();
    for (name, value) in &status.metadata().clone().into_headers() {
        if frame::is_metadata(name) {
            headers.append(name, value.clone());
        }
    }
    if let Some(delay) = status.get_details_retry_info().and_then(|info| info.retry_delay) {
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    error.with_headers(headers)
}

/// A detail in Connect's form: its bytes, and its content as JSON for human readers.
fn detail(any: &prost_types::Any) -> ErrorDetail {
    let name = any.type_url.rsplit('/').next().unwrap_or_default();
    let debug = DETAIL_TYPES
        .as_ref()
        .and_then(|pool| pool.get_message_by_name(name))
        .and_then(|descriptor| DynamicMessage::decode(descriptor, any.value.as_slice()).ok())
        .and_then(|message| serde_json::to_value(message).ok());
    ErrorDetail {
        type_url: name.to_owned(),
        value: Some(STANDARD_NO_PAD.encode(&any.value)),
        debug,
    }
}

/// A status as a unary response: HTTP status and JSON.
pub fn response(status: &Status) -> Response {
    render(from_status(status))
}

/// An HTTP error in Connect's JSON.
pub fn http_response(status: StatusCode, code: ErrorCode, message: &str) -> Response {
    let error = ConnectError::new(code, message).with_http_status(status);
    render(error)
}

/// An HTTP error as plain text, for clients that do not read Connect's errors.
pub fn plain_response(status: StatusCode, message: &'static str) -> Response {
    let mut response = Response::new(Body::new(Full::from(message)));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

fn render(error: ConnectError) -> Response {
    with_http_headers(error.into_http_response(&HeaderMap::new()))
}

/// Adds the headers that HTTP clients look for: how to authenticate, and that a retry does not
/// help after a conflict or for a missing method (SDKs retry both by default).
fn with_http_headers(response: http::Response<ConnectRpcBody>) -> Response {
    let mut response = response.map(|body| match body {
        // Unwrapped, since the enum hides the length of the body.
        ConnectRpcBody::Full(body) => Body::new(body),
        body => Body::new(body),
    });
    let status = response.status();
    let headers = response.headers_mut();
    match status {
        StatusCode::UNAUTHORIZED => {
            let challenge = HeaderValue::from_static("Bearer realm=\"guestlist\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        StatusCode::CONFLICT | StatusCode::NOT_IMPLEMENTED => {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        _ => {}
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};
    use crate::transport::status::to_status;
    use http_body_util::BodyExt;
    use std::time::Duration;

    async fn body(response: Response) -> serde_json::Value {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn a_response_has_details_and_retry_after() {
        let error = Error::new(Kind::ResourceExhausted, "busy")
            .with_retry_after(Duration::from_millis(1500));
        let response = response(&to_status(error));
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");

        let body = body(response).await;
        assert_eq!(body["code"], "resource_exhausted");
        assert_eq!(body["message"], "busy");
        let debug = |name: &str| {
            let details = body["details"].as_array().unwrap();
            details.iter().find(|detail| detail["type"] == name).unwrap()["debug"].clone()
        };
        assert_eq!(debug("google.rpc.ErrorInfo")["domain"], "guestlist");
        assert_eq!(debug("google.rpc.RetryInfo")["retryDelay"], "1.500s");
    }

    #[test]
    fn only_permanent_errors_forbid_a_retry() {
        let retry = |kind| {
            let response = response(&to_status(Error::new(kind, "x")));
            response.headers().get(SHOULD_RETRY).cloned()
        };
        assert_eq!(retry(Kind::AlreadyExists), Some(HeaderValue::from_static("false")));
        assert_eq!(retry(Kind::Unavailable), None);
        assert_eq!(retry(Kind::NotFound), None);
    }
}
