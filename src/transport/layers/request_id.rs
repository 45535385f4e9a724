//! Gives every request an id, for the log, the audit trail and the response. Also reads the
//! caller's `traceparent`, for the log and for messages that are sent later.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::Instrument;
use uuid::Uuid;

use crate::domain::{self, TraceParent};
use crate::transport::middleware::{Handler, Middleware, Next};
use crate::transport::{Request, Response};

/// The header of the request id, in requests and responses.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The header with the trace and the span of the caller (W3C Trace Context).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

const MAX_LEN: usize = 128;

/// Takes the `x-request-id` of the client if it is valid, else generates one. Inserts a
/// [`domain::RequestId`] into the extensions of the request and the header into the response, and
/// a [`TraceParent`] if the request has a valid one.
pub struct RequestId;

impl Middleware for RequestId {
    async fn handle<S: Handler>(&self, mut request: Request, next: Next<S>) -> Response {
        let (id, mut value) = given(request.headers()).unwrap_or_else(generate);
        // The value is almost always new, so it must not use space in HTTP/2's table of headers.
        // A sensitive value is not added to that table (RFC 7541 §7.1.3).
        value.set_sensitive(true);
        // The span has error level, so that no log filter removes the id from an error.
        let trace = trace(request.headers());
        let trace_id = trace.map(|trace| tracing::field::display(trace.trace_id()));
        let span = tracing::error_span!("request", id = %id, trace_id);
        if let Some(trace) = trace {
            request.extensions_mut().insert(trace);
        }
        request.extensions_mut().insert(domain::RequestId(id));

        let mut response = next.run(request).instrument(span).await;
        response.headers_mut().insert(HEADER, value);
        response
    }
}

fn given(headers: &HeaderMap) -> Option<(Arc<str>, HeaderValue)> {
    let value = headers.get(HEADER)?;
    let text = value.to_str().ok()?;
    is_valid(text).then(|| (text.into(), value.clone()))
}

/// `None` if the header is missing or malformed, or if there is more than one.
fn trace(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let parent = TraceParent::parse(values.next()?.to_str().ok()?)?;
    values.next().is_none().then_some(parent)
}

fn is_valid(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(allowed)
}

fn generate() -> (Arc<str>, HeaderValue) {
    let mut buffer = Uuid::encode_buffer();
    let id = &*Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
    // A UUID is always a valid header value.
    let value = HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("-"));
    (id.into(), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_ids_are_accepted() {
        for good in ["a", "Req-1_2.3", &"x".repeat(MAX_LEN)] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", " ", "a b", "a\"b", "é", "a/b", "{}", &"x".repeat(MAX_LEN + 1)] {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn a_generated_id_is_a_valid_uuid() {
        let (id, value) = generate();
        assert!(Uuid::try_parse(&id).is_ok());
        assert!(is_valid(&id));
        assert_eq!(value, *id);
    }
}
