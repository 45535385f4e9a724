//! The way in to the contracts' routes.

use http::{HeaderValue, Method, StatusCode, header};
use tonic::{Code, Status};

use super::openapi::Endpoint;
use super::{Refusal, Vendor, empty};
use crate::transport::layers::{Handler, Middleware, Next};
use crate::transport::protocol::{Call, Protocol, Route};
use crate::transport::{Request, Response};

/// Refuses paths and methods that no contract has, before anybody is asked who
/// they are, and writes the refusals of those behind it.
pub struct Door;

impl Middleware for Door {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        let call = Call::of(&request);
        let Protocol::Vendor(vendor) = call.protocol else {
            return call.answer(Status::unimplemented("there is no such path"));
        };
        let Route::Vendor(endpoint) = call.route else {
            let message = "there is no such path";
            let refusal = Refusal::of_http(StatusCode::NOT_FOUND, Code::Unimplemented, message);
            return vendor.refuse(&refusal, &call.request);
        };
        if !endpoint.takes(request.method()) {
            return not_taken(vendor, endpoint, request.method(), &call);
        }
        let mut response = next.run(request).await;
        match response.extensions_mut().remove::<Refusal>() {
            Some(refusal) => vendor.refuse(&refusal, &call.request),
            None => response,
        }
    }
}

fn not_taken(vendor: Vendor, endpoint: &Endpoint, method: &Method, call: &Call) -> Response {
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
