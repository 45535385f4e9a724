//! The error responses of the contracts, as the OpenAPI document describes them.

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};

/// The error statuses of every operation.
const ERRORS: &[(u16, &str)] = &[
    (400, "The request is invalid, or the current state forbids it; the message says why."),
    (401, "The credential is missing, malformed, expired or revoked."),
    (403, "The caller is a member without the permission."),
    (404, "It does not exist, or the caller has no access to it."),
    (429, "Too many requests; `retry-after` says when to try again."),
    (500, "The server failed."),
    (503, "The database cannot be reached; a retry may succeed."),
    (504, "The request took too long."),
];

/// Further error statuses of operations that take a body.
const BODY_ERRORS: &[(u16, &str)] =
    &[(413, "The body is larger than the server accepts."), (415, "The body is not JSON.")];

/// The error responses with a body of this type, by status.
pub fn error_responses<T: ToSchema>(with_body: bool) -> BTreeMap<String, RefOr<Response>> {
    let more = if with_body { BODY_ERRORS } else { &[] };
    let response = |description: &str| {
        let content = Content::new(Some(Ref::from_schema_name(T::name())));
        ResponseBuilder::new().description(description).content("application/json", content)
    };
    ERRORS
        .iter()
        .chain(more)
        .map(|(status, description)| (status.to_string(), response(description).build().into()))
        .collect()
}
