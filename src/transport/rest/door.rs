//! The way in to the contracts' routes.

use http::{HeaderValue, Method, StatusCode, header};
use tonic::Code;

use super::openapi::Endpoint;
use super::{Refusal, Vendor, empty};
use crate::transport::layers::{Handler, Middleware, Next};
use crate::transport::protocol::{CallInfo, Protocol, Route};
use crate::transport::{Request, Response};

/// Writes the refusals of the routes behind it.
pub struct Door;

impl Middleware for Door {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        let call = CallInfo::of(&request);
        let mut response = next.run(request).await;
        match (call.protocol, response.extensions_mut().remove::<Refusal>()) {
            (Protocol::Vendor(vendor), Some(refusal)) => vendor.refuse(&refusal, &call.request),
            _ => response,
        }
    }
}

/// The answer to a path or a method that the contract does not have. Nobody needs a
/// credential to be told.
pub fn refuse(vendor: Vendor, request: &Request, call: &CallInfo) -> Option<Response> {
    let Route::Vendor(endpoint) = call.route else {
        let message = "there is no such path";
        let refusal = Refusal::of_http(StatusCode::NOT_FOUND, Code::Unimplemented, message);
        return Some(vendor.refuse(&refusal, &call.request));
    };
    let is_taken = endpoint.takes(request.method());
    (!is_taken).then(|| not_taken(vendor, endpoint, request.method(), call))
}

fn not_taken(vendor: Vendor, endpoint: &Endpoint, method: &Method, call: &CallInfo) -> Response {
    let mut response = if *method == Method::OPTIONS {
        empty(StatusCode::NO_CONTENT)
    } else {
        let message = "this path does not take this method; see the allow header";
        let refusal = Refusal::of_http(StatusCode::METHOD_NOT_ALLOWED, Code::Unknown, message);
        vendor.refuse(&refusal, &call.request)
    };
    if let Ok(allow) = HeaderValue::from_str(&endpoint.allow()) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}
