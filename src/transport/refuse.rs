//! Writes an error in the protocol of the client.

use tonic::Status;

use super::call::{CallInfo, Protocol};
use super::rest::{self, RestError, route_guard};
use super::status::to_status;
use super::{Request, Response, protocol};
use crate::error::Error;

/// The response with this error.
pub fn refuse(call: &CallInfo, error: Error) -> Response {
    refuse_with(call, &to_status(error))
}

/// The response with this status.
pub fn refuse_with(call: &CallInfo, status: &Status) -> Response {
    match call.protocol {
        Protocol::Rest(api) => rest::write_error(api, &RestError::from(status), &call.request),
        protocol => protocol::refuse::with_status(protocol, status),
    }
}

/// The response to a request whose head alone shows that it cannot be served: it breaks the rules
/// of its protocol, or its route does not exist. This needs no credential.
pub fn refuse_head(request: &Request, call: &CallInfo) -> Option<Response> {
    match call.protocol {
        Protocol::Rest(api) => route_guard::reject_head(api, request, call),
        _ => protocol::refuse::reject_head(request, call),
    }
}
