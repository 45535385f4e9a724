//! The guard in front of the contracts' routes.

use http::{HeaderValue, Method, StatusCode, header};
use tonic::Code;

use super::{RestError, empty, write_error};
use crate::transport::call::{CallInfo, Protocol, Route};
use crate::transport::endpoint::{Endpoint, RestApi};
use crate::transport::middleware::{Handler, Middleware, Next};
use crate::transport::{Request, Response};

/// Writes the errors of the routes behind it in the format of their contract.
pub struct RouteGuard;

impl Middleware for RouteGuard {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        let call = CallInfo::of(&request);
        let mut response = next.run(request).await;
        match (call.protocol, response.extensions_mut().remove::<RestError>()) {
            (Protocol::Rest(api), Some(error)) => write_error(api, &error, &call.request),
            _ => response,
        }
    }
}

/// Rejects a path or a method that the contract does not have, and responds to OPTIONS with the
/// allowed methods. This needs no credential.
pub fn reject_head(api: RestApi, request: &Request, call: &CallInfo) -> Option<Response> {
    let Route::Rest(endpoint) = call.route else {
        let message = "there is no such path";
        let error = RestError::of_http(StatusCode::NOT_FOUND, Code::Unimplemented, message);
        return Some(write_error(api, &error, &call.request));
    };
    let is_allowed = endpoint.allows(request.method());
    (!is_allowed).then(|| not_allowed(api, endpoint, request.method(), call))
}

fn not_allowed(api: RestApi, endpoint: &Endpoint, method: &Method, call: &CallInfo) -> Response {
    let mut response = if *method == Method::OPTIONS {
        empty(StatusCode::NO_CONTENT)
    } else {
        let message = "this path does not take this method; see the allow header";
        let error = RestError::of_http(StatusCode::METHOD_NOT_ALLOWED, Code::Unknown, message);
        write_error(api, &error, &call.request)
    };
    if let Ok(allow) = HeaderValue::from_str(&endpoint.allow_header()) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}
