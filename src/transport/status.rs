//! THE table: error kind ↔ gRPC code ↔ HTTP status, and what a client may see.
//!
//! Connect names its codes as gRPC does. Details travel as `google.rpc`
//! messages. The cause of an error is logged here, once, and goes no further.

use std::collections::HashMap;

use connectrpc::ErrorCode;
use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::error::{Error, Kind};

/// `google.rpc.ErrorInfo.domain` of every error of ours.
pub const DOMAIN: &str = "guestlist";

/// One line of the table.
struct Row {
    kind: Kind,
    code: Code,
    http: StatusCode,
}

const fn row(kind: Kind, code: Code, http: StatusCode) -> Row {
    Row { kind, code, http }
}

const TABLE: [Row; 10] = [
    row(Kind::InvalidArgument, Code::InvalidArgument, StatusCode::BAD_REQUEST),
    row(Kind::Unauthenticated, Code::Unauthenticated, StatusCode::UNAUTHORIZED),
    row(Kind::PermissionDenied, Code::PermissionDenied, StatusCode::FORBIDDEN),
    row(Kind::NotFound, Code::NotFound, StatusCode::NOT_FOUND),
    row(Kind::AlreadyExists, Code::AlreadyExists, StatusCode::CONFLICT),
    row(Kind::FailedPrecondition, Code::FailedPrecondition, StatusCode::BAD_REQUEST),
    row(Kind::ResourceExhausted, Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS),
    row(Kind::DeadlineExceeded, Code::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT),
    row(Kind::Unavailable, Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
    row(Kind::Internal, Code::Internal, StatusCode::INTERNAL_SERVER_ERROR),
];

fn find(kind: Kind) -> &'static Row {
    find_by(|row| row.kind == kind)
}

fn find_by(is_it: impl Fn(&Row) -> bool) -> &'static Row {
    // The last row is INTERNAL; a test keeps the table complete.
    TABLE.iter().find(|row| is_it(row)).unwrap_or(&TABLE[TABLE.len() - 1])
}

/// The gRPC code of a kind.
pub fn code(kind: Kind) -> Code {
    find(kind).code
}

/// The HTTP status of a kind, for answers that are not gRPC.
pub fn http_status(kind: Kind) -> StatusCode {
    find(kind).http
}

/// The HTTP status of a code, where a status is all that is left of an error.
pub fn http_status_of(code: Code) -> StatusCode {
    match code {
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        code => find_by(|row| row.code == code).http,
    }
}

/// The code's name in Connect, logs and metrics: `not_found`; `ok` for success.
pub fn code_name(code: Code) -> &'static str {
    ErrorCode::from_grpc_code(code as u32).map_or("ok", |code| code.as_str())
}

/// The code that an HTTP status stands for where no better one is known.
pub fn code_of_http(status: StatusCode) -> Code {
    match status.as_u16() {
        200..=399 => Code::Ok,
        404 => Code::Unimplemented,
        405 | 415 => Code::Unknown,
        499 => Code::Cancelled,
        501 => Code::Unimplemented,
        _ => TABLE.iter().find(|row| row.http == status).map_or(Code::Unknown, |row| row.code),
    }
}

/// What the client sees of an error. The cause goes to the log here.
pub fn to_status(error: Error) -> Status {
    log(&error);

    let mut details = ErrorDetails::new();
    details.set_error_info(error.reason, DOMAIN, HashMap::new());
    if !error.violations.is_empty() {
        let violations: Vec<FieldViolation> = error
            .violations
            .into_iter()
            .map(|v| FieldViolation::new(v.field, v.description))
            .collect();
        details.set_bad_request(violations);
    }
    if let Some(after) = error.retry_after {
        details.set_retry_info(Some(after));
    }
    Status::with_error_details(code(error.kind), error.message, details)
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        to_status(error)
    }
}

fn log(error: &Error) {
    match error.kind {
        Kind::Internal => tracing::error!(cause = ?error, "request failed"),
        Kind::Unavailable => tracing::warn!(cause = ?error, "request failed"),
        _ if error.source.is_some() => tracing::debug!(cause = ?error, "request refused"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const KINDS: [Kind; 10] = [
        Kind::InvalidArgument,
        Kind::Unauthenticated,
        Kind::PermissionDenied,
        Kind::NotFound,
        Kind::AlreadyExists,
        Kind::FailedPrecondition,
        Kind::ResourceExhausted,
        Kind::DeadlineExceeded,
        Kind::Unavailable,
        Kind::Internal,
    ];

    #[test]
    fn every_kind_has_exactly_one_row_and_connects_http_status() {
        for kind in KINDS {
            assert_eq!(TABLE.iter().filter(|row| row.kind == kind).count(), 1);
            let connect = ErrorCode::from_grpc_code(code(kind) as u32).unwrap();
            assert_eq!(connect.http_status(), http_status(kind), "{kind:?}");
            assert_eq!(connect.as_str().to_uppercase(), kind.name());
            assert_eq!(http_status_of(code(kind)), http_status(kind), "{kind:?}");
        }
    }

    #[test]
    fn details_travel_and_the_cause_does_not() {
        let error = Error::invalid("filter.user_ids[2]", "must be a UUID")
            .with_retry_after(Duration::from_secs(2))
            .with_source("secret cause");
        let status = to_status(error);

        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(!format!("{status:?}").contains("secret cause"));
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID_ARGUMENT", DOMAIN));
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "filter.user_ids[2]");
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(2)));
    }

    #[test]
    fn codes_are_read_back_from_http() {
        for kind in KINDS {
            // 400 and 404 stand for several codes.
            if !matches!(kind, Kind::FailedPrecondition | Kind::NotFound) {
                assert_eq!(code_of_http(http_status(kind)), code(kind), "{kind:?}");
            }
        }
        assert_eq!(code_of_http(StatusCode::NO_CONTENT), Code::Ok);
    }
}
