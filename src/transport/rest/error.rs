//! An error of a REST route, before it is converted to the JSON of a contract.

use std::time::Duration;

use axum::response::IntoResponse;
use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::error::Error;
use crate::transport::status::{http_status_of, to_status};

/// The error that a client sees. A handler returns it in the extensions of its response;
/// `RouteGuard`, which knows the contract, writes the body.
#[derive(Debug, Clone)]
pub struct RestError {
    pub http: StatusCode,
    /// For logs and metrics.
    pub code: Code,
    pub message: String,
    /// A retry may succeed after this time.
    pub retry_after: Option<Duration>,
}

impl RestError {
    /// An error that has an HTTP status and no [`Error`] kind.
    pub fn of_http(http: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { http, code, message: message.into(), retry_after: None }
    }
}

impl From<&Status> for RestError {
    fn from(status: &Status) -> Self {
        Self {
            http: http_status_of(status.code()),
            code: status.code(),
            message: status.message().to_owned(),
            retry_after: status.get_details_retry_info().and_then(|info| info.retry_delay),
        }
    }
}

impl From<Error> for RestError {
    fn from(error: Error) -> Self {
        Self::from(&to_status(error))
    }
}

impl IntoResponse for RestError {
    fn into_response(self) -> axum::response::Response {
        let mut response = axum::response::Response::default();
        *response.status_mut() = self.http;
        response.extensions_mut().insert(self);
        response
    }
}
