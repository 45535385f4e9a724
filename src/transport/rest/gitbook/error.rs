//! Refusals in GitBook's shape.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoResponses, ToSchema};

use crate::transport::rest::{Refusal, openapi};

/// What a refusal's body is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::Error)]
pub struct Body {
    #[schema(inline)]
    error: What,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = gitbook::ErrorDetail)]
pub struct What {
    /// The HTTP status.
    code: u16,
    /// For people.
    message: String,
}

/// Writes a refusal.
pub fn body(refusal: &Refusal) -> Body {
    Body { error: What { code: refusal.http.as_u16(), message: refusal.message.clone() } }
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
