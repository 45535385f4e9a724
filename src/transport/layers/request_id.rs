//! Names every request, for the log, the audit trail and the answer.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::Instrument;
use uuid::Uuid;

use super::{Handler, Middleware, Next};
use crate::domain;
use crate::transport::{Request, Response};

/// The header that carries the name, both ways.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LEN: usize = 128;

/// Takes the caller's `x-request-id` if it is sane, else makes one; puts a
/// [`domain::RequestId`] into the request and the header on the answer.
pub struct RequestId;

impl Middleware for RequestId {
    async fn handle<S: Handler>(&self, mut request: Request, next: Next<S>) -> Response {
        let (id, mut value) = given(request.headers()).unwrap_or_else(generate);
        // As a rule no other answer has it: HTTP/2 is not to remember it (RFC 7541 §7.1.3).
        value.set_sensitive(true);
        // At error level, so that no log filter takes the name off an error.
        let span = tracing::error_span!("request", id = %id);
        request.extensions_mut().insert(domain::RequestId(id));

        let mut response = next.run(request).instrument(span).await;
        response.headers_mut().insert(HEADER, value);
        response
    }
}

fn given(headers: &HeaderMap) -> Option<(Arc<str>, HeaderValue)> {
    let value = headers.get(HEADER)?;
    let text = value.to_str().ok()?;
    is_sane(text).then(|| (text.into(), value.clone()))
}

fn is_sane(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(allowed)
}

fn generate() -> (Arc<str>, HeaderValue) {
    let mut buffer = Uuid::encode_buffer();
    let id = &*Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
    // A UUID's digits are always a valid header value.
    let value = HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("-"));
    (id.into(), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sane_names_are_taken() {
        for good in ["a", "Req-1_2.3", &"x".repeat(MAX_LEN)] {
            assert!(is_sane(good), "{good}");
        }
        for bad in ["", " ", "a b", "a\"b", "é", "a/b", "{}", &"x".repeat(MAX_LEN + 1)] {
            assert!(!is_sane(bad), "{bad}");
        }
    }

    #[test]
    fn a_made_name_is_a_uuid_and_sane() {
        let (id, value) = generate();
        assert!(Uuid::try_parse(&id).is_ok());
        assert!(is_sane(&id));
        assert_eq!(value, *id);
    }
}
