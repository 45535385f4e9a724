//! REST contracts of other products, with the same operations as the RPCs: clients written for
//! those products work here with another base URL and key.
//!
//! REST requests pass the same middleware as RPCs, except for the translation to gRPC. `openapi`
//! reads the paths from the descriptions of the routes. `route_guard` rejects other paths and
//! writes errors in the format of the contract.

mod body;
mod bounded_list;
mod clickhouse;
mod error;
mod error_responses;
mod gitbook;
pub mod openapi;
mod request;
pub mod route_guard;

use axum::Router;
use http::{HeaderValue, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;
use tonic::body::Body;

pub use self::error::RestError;
use self::request::Shared;
use crate::config::Http;
use crate::domain::RequestId;
use crate::operations::Context;
use crate::transport::Response;
use crate::transport::endpoint::RestApi;

type RestResult = Result<Response, RestError>;

/// Every route of every contract.
pub fn routes(cx: &Context, http: &Http) -> Router {
    let shared = Shared {
        cx: cx.clone(),
        max_request_bytes: http.max_request_bytes,
        max_response_bytes: http.max_response_bytes,
    };
    openapi::described().split_for_parts().0.with_state(shared)
}

/// Writes an error in the format of a contract.
pub fn write_error(api: RestApi, error: &RestError, request: &RequestId) -> Response {
    let status = error.http;
    let (mut response, challenge) = match api {
        RestApi::ClickHouse => {
            (json(status, &clickhouse::error::body(error, request)), "Basic realm=\"guestlist\"")
        }
        RestApi::GitBook => {
            (json(status, &gitbook::error::body(error)), "Bearer realm=\"guestlist\"")
        }
    };
    response.extensions_mut().insert(error.code);
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let Some(after) = error.retry_after {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A JSON response. Some contain tokens, so no cache may store any.
fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let body = match serde_json::to_vec(value) {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(
                %error,
                "serializing a REST response failed; the client gets status 500"
            );
            return empty(StatusCode::INTERNAL_SERVER_ERROR);
        }
    };
    let mut response = Response::new(Body::new(Full::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A response without a body.
fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
