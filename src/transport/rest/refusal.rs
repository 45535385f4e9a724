//! A refusal on its way to the contract's own shape.

use std::time::Duration;

use axum::response::IntoResponse;
use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::error::Error;
use crate::transport::status::{http_status_of, to_status};

/// What a caller is told. A handler's answer carries it in its extensions, until
/// `door`, which knows whose contract it is, writes it down.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// HTTP's word for it.
    pub http: StatusCode,
    /// The word of logs and metrics.
    pub code: Code,
    /// For people.
    pub message: String,
    /// When trying again may help.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal that only HTTP has a word for.
    pub fn of_http(http: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { http, code, message: message.into(), retry_after: None }
    }
}

impl From<&Status> for Refusal {
    fn from(status: &Status) -> Self {
        Self {
            http: http_status_of(status.code()),
            code: status.code(),
            message: status.message().to_owned(),
            retry_after: status.get_details_retry_info().and_then(|info| info.retry_delay),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::from(&to_status(error))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> axum::response::Response {
        let mut response = axum::response::Response::default();
        *response.status_mut() = self.http;
        response.extensions_mut().insert(self);
        response
    }
}
