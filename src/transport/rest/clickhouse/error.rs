//! Errors in ClickHouse's JSON.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;
use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoResponses, ToSchema};
use uuid::Uuid;

use super::model::request_uuid;
use crate::domain::RequestId;
use crate::transport::rest::RestError;
use crate::transport::rest::error_responses::error_responses;

/// The body of an error response.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = clickhouse::Error)]
pub struct Body {
    /// The HTTP status.
    status: u16,
    /// The id of the request.
    #[schema(value_type = String, format = "uuid")]
    request_id: Uuid,
    /// The name of the status, a colon and the message; for 404 only the name.
    error: String,
}

/// The body of the response for an error.
pub fn body(error: &RestError, request: &RequestId) -> Body {
    let name = error.http.canonical_reason().unwrap_or("Error").to_uppercase().replace(' ', "_");
    let text = match error.http {
        StatusCode::NOT_FOUND => name,
        _ => format!("{name}: {}", error.message),
    };
    Body { status: error.http.as_u16(), request_id: request_uuid(request), error: text }
}

/// The error responses of an operation without a request body.
pub struct ErrorResponses;

/// The error responses of an operation with a request body.
pub struct ErrorResponsesWithBody;

impl IntoResponses for ErrorResponses {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        error_responses::<Body>(false)
    }
}

impl IntoResponses for ErrorResponsesWithBody {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        error_responses::<Body>(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};

    #[test]
    fn an_error_begins_with_the_name_of_its_status() {
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
