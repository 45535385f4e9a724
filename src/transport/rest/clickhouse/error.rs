//! Refusals in ClickHouse's shape.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;
use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoResponses, ToSchema};
use uuid::Uuid;

use super::model::request_uuid;
use crate::domain::RequestId;
use crate::transport::rest::{Refusal, openapi};

/// What a refusal's body is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = clickhouse::Error)]
pub struct Body {
    /// The HTTP status.
    status: u16,
    /// Names the request.
    #[schema(value_type = String, format = "uuid")]
    request_id: Uuid,
    /// The status' name; where more may be told, a colon and what it is.
    error: String,
}

/// Writes a refusal.
pub fn body(refusal: &Refusal, request: &RequestId) -> Body {
    let name = refusal.http.canonical_reason().unwrap_or("Error").to_uppercase().replace(' ', "_");
    let error = match refusal.http {
        StatusCode::NOT_FOUND => name,
        _ => format!("{name}: {}", refusal.message),
    };
    Body { status: refusal.http.as_u16(), request_id: request_uuid(request), error }
}

/// The refusals of a call without a body.
pub struct Refused;

/// The refusals of a call with a body.
pub struct RefusedBody;

impl IntoResponses for Refused {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        openapi::refusals::<Body>(false)
    }
}

impl IntoResponses for RefusedBody {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        openapi::refusals::<Body>(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};

    #[test]
    fn a_refusal_is_named_as_its_status() {
        let request = RequestId("mine".into());
        for (error, status, text) in [
            (Error::not_found(), 404, "NOT_FOUND"),
            (Error::invalid("email", "is wrong"), 400, "BAD_REQUEST: email: is wrong"),
            (Error::new(Kind::AlreadyExists, "taken"), 409, "CONFLICT: taken"),
            (Error::new(Kind::ResourceExhausted, "busy"), 429, "TOO_MANY_REQUESTS: busy"),
            (Error::internal("secret"), 500, "INTERNAL_SERVER_ERROR: internal error"),
        ] {
            let body = body(&error.into(), &request);
            assert_eq!((body.status, body.error.as_str()), (status, text));
            assert_eq!(body.request_id, request_uuid(&request));
        }
    }
}
