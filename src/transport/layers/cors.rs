//! CORS: the origins whose web pages may call from a browser. The list has exact origins only,
//! and may be empty.

use std::time::Duration;

use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{Method, Uri};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{authenticate, request_id};
use crate::config::Cors;
use crate::error::{Error, Result};

/// A browser may cache the response to a preflight for this time.
const MAX_AGE: Duration = Duration::from_secs(2 * 60 * 60);

/// The layer for these settings; `None` if no page may call.
///
/// # Errors
/// If an origin is not exact (`*`, `null`, a path, a pattern), or if a header is not a single name.
pub fn layer(settings: &Cors) -> Result<Option<CorsLayer>> {
    let origins = settings
        .allowed_origins
        .iter()
        .enumerate()
        .map(|(index, text)| origin(index, text))
        .collect::<Result<Vec<HeaderValue>>>()?;
    if origins.is_empty() {
        return Ok(None);
    }
    let mut headers = request_headers();
    for (index, name) in settings.allowed_headers.iter().enumerate() {
        headers.push(header(index, name)?);
    }
    // No `allow-credentials`: that is for cookies. A page sets the `authorization` header itself.
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers(headers)
        .expose_headers(response_headers())
        .max_age(MAX_AGE);
    Ok(Some(layer))
}

fn origin(index: usize, text: &str) -> Result<HeaderValue> {
    let wrong = || {
        Error::invalid(
            format!("cors.allowed_origins[{index}]"),
            "must be an exact origin such as https://app.example.com or http://localhost:3000",
        )
    };
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"));
    let (Some(scheme), Some(authority)) = (scheme, uri.authority()) else {
        return Err(wrong());
    };
    // Exactly as a browser sends it: no path, no user, lower case.
    let exact = format!("{scheme}://{authority}");
    let is_plain = !authority.as_str().contains(['@', '*', '%']) && exact == exact.to_lowercase();
    if text != exact || !is_plain {
        return Err(wrong());
    }
    HeaderValue::from_str(text).map_err(|_| wrong())
}

fn header(index: usize, name: &str) -> Result<HeaderName> {
    let name = HeaderName::try_from(name).ok().filter(|name| !name.as_str().contains('*'));
    name.ok_or_else(|| {
        let field = format!("cors.allowed_headers[{index}]");
        Error::invalid(field, "must be the name of one header, such as x-tenant")
    })
}

fn request_headers() -> Vec<HeaderName> {
    let named = [
        "connect-protocol-version",
        "connect-timeout-ms",
        "connect-content-encoding",
        "connect-accept-encoding",
        "grpc-timeout",
        "grpc-encoding",
        "grpc-accept-encoding",
        "x-grpc-web",
        "x-user-agent",
        "idempotency-key",
        // Tracing in a browser adds these to each call (W3C Trace Context, Baggage).
        "traceparent",
        "tracestate",
        "baggage",
    ];
    let mut headers = vec![
        ACCEPT,
        AUTHORIZATION,
        CONTENT_TYPE,
        CONTENT_ENCODING,
        authenticate::ON_BEHALF_OF,
        request_id::HEADER,
    ];
    headers.extend(named.map(HeaderName::from_static));
    headers
}

fn response_headers() -> Vec<HeaderName> {
    let named = [
        "grpc-status",
        "grpc-message",
        "grpc-status-details-bin",
        "grpc-encoding",
        "connect-content-encoding",
        "x-should-retry",
    ];
    let mut headers = vec![CONTENT_ENCODING, RETRY_AFTER, WWW_AUTHENTICATE, request_id::HEADER];
    headers.extend(named.map(HeaderName::from_static));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(origins: &[&str]) -> Cors {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        Cors { allowed_origins: owned(origins), allowed_headers: Vec::new() }
    }

    #[test]
    fn without_origins_there_is_no_layer() {
        assert!(layer(&settings(&[])).unwrap().is_none());
        let exact = ["https://app.example.com", "http://localhost:3000", "https://[::1]:8080"];
        assert!(layer(&settings(&exact)).unwrap().is_some());
    }

    #[test]
    fn p29_only_exact_origins_are_accepted() {
        for bad in [
            "*",
            "null",
            "",
            "https://*.example.com",
            "app.example.com",
            "https://",
            "https://app.example.com/",
            "https://app.example.com/x",
            "https://App.example.com",
            "ftp://example.com",
            "https://user@example.com",
            "https://example.com?x",
            " https://a.b",
            "file://",
            "https://a.b,https://c.d",
        ] {
            assert!(layer(&settings(&["https://good.example", bad])).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn p29_only_names_of_single_headers_are_accepted() {
        let with = |name: &str| Cors {
            allowed_headers: vec!["x-good".to_owned(), name.to_owned()],
            ..settings(&["https://app.example.com"])
        };
        assert!(layer(&with("X-Tenant")).unwrap().is_some());
        for bad in ["*", "x-*", "", "x tenant", "x-a,x-b", "x:y", "\u{e9}"] {
            assert!(layer(&with(bad)).is_err(), "{bad:?}");
        }
    }
}
