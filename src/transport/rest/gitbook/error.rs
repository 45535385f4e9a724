//! Errors in GitBook's JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoResponses, ToSchema};

use crate::transport::rest::RestError;
use crate::transport::rest::error_responses::error_responses;

/// The body of an error response.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::Error)]
pub struct Body {
    #[schema(inline)]
    error: Detail,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::ErrorDetail)]
pub struct Detail {
    /// The HTTP status.
    code: u16,
    message: String,
}

/// The body of the response for an error.
pub fn body(error: &RestError) -> Body {
    Body { error: Detail { code: error.http.as_u16(), message: error.message.clone() } }
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
