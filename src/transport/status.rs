//! The table of error kinds, gRPC codes and HTTP statuses, and the status that a client sees.
//!
//! Connect has the same codes as gRPC. Details are `google.rpc` messages. The cause of an error is
//! logged here, once, and is never part of a response.

use std::collections::HashMap;

use connectrpc::ErrorCode;
use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::error::{Error, Kind};

/// `google.rpc.ErrorInfo.domain` of all our errors.
pub const DOMAIN: &str = "guestlist";

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

fn find_by(matches: impl Fn(&Row) -> bool) -> &'static Row {
    // The last row is INTERNAL; a test keeps the table complete.
    TABLE.iter().find(|row| matches(row)).unwrap_or(&TABLE[TABLE.len() - 1])
}

pub fn code(kind: Kind) -> Code {
    find(kind).code
}

/// The HTTP status of a code.
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

/// The code for an HTTP status, for responses without a code of their own.
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

/// The maximum bytes of a status in the trailers: `grpc-message`, percent-encoded, and
/// `grpc-status-details-bin`, in base64, together. Clients read 8 KiB of trailers by
/// default and report more as RESOURCE_EXHAUSTED; proxies accept less (nginx: 4 KiB).
pub const MAX_STATUS_BYTES: usize = 4096;

/// The maximum bytes of `grpc-message`, percent-encoded. The details repeat the message.
const MAX_MESSAGE_BYTES: usize = 1280;

/// Converts an error to the status that the client receives. Logs the cause.
///
/// A status larger than [`MAX_STATUS_BYTES`] is shortened: the message is cut, and the last
/// violations are left out.
pub fn to_status(error: Error) -> Status {
    log(&error);

    let Error { kind, reason, violations, retry_after, cursor, .. } = error;
    let metadata: HashMap<_, _> =
        cursor.map(|cursor| ("cursor".to_owned(), cursor.into())).into_iter().collect();
    let message = cut(error.message, MAX_MESSAGE_BYTES);
    let mut violations: Vec<FieldViolation> =
        violations.into_iter().map(|v| FieldViolation::new(v.field, v.description)).collect();
    loop {
        let mut details = ErrorDetails::new();
        details.set_error_info(reason, DOMAIN, metadata.clone());
        if !violations.is_empty() {
            details.set_bad_request(violations.clone());
        }
        if let Some(after) = retry_after {
            details.set_retry_info(Some(after));
        }
        let status = Status::with_error_details(code(kind), message.as_str(), details);
        if wire_bytes(&status) <= MAX_STATUS_BYTES || violations.pop().is_none() {
            return status;
        }
    }
}

/// The shortened form of a status that is larger than [`MAX_STATUS_BYTES`]. A status from tonic can
/// be so large, since tonic quotes headers in its messages.
pub fn shortened(status: &Status) -> Option<Status> {
    (wire_bytes(status) > MAX_STATUS_BYTES)
        .then(|| Status::new(status.code(), cut(status.message().to_owned(), MAX_MESSAGE_BYTES)))
}

/// The length of a status in the trailers, rounded up.
fn wire_bytes(status: &Status) -> usize {
    let message: usize = status.message().chars().map(encoded_bytes).sum();
    message + base64::encoded_len(status.details().len(), false).unwrap_or(usize::MAX)
}

/// The length of a character in `grpc-message`. gRPC encodes fewer characters than assumed here.
fn encoded_bytes(c: char) -> usize {
    let plain = c.is_ascii_alphanumeric() || matches!(c, '.' | ',' | ':' | ';' | '-' | '_');
    if plain { 1 } else { 3 * c.len_utf8() }
}

/// Cuts a text to `max_bytes` of its encoded form, between two characters.
fn cut(mut text: String, max_bytes: usize) -> String {
    const ELLIPSIS: char = '…';

    // The fast path: most texts are short enough in any encoding.
    if text.len() * 3 <= max_bytes || text.chars().map(encoded_bytes).sum::<usize>() <= max_bytes {
        return text;
    }
    let mut left = max_bytes - encoded_bytes(ELLIPSIS);
    let end = text.char_indices().find(|(_, c)| {
        let fits = encoded_bytes(*c) <= left;
        left = left.saturating_sub(encoded_bytes(*c));
        !fits
    });
    text.truncate(end.map_or(text.len(), |(at, _)| at));
    text.push(ELLIPSIS);
    text
}

/// The status for a message above the size limit, in any protocol. It has no details, since the
/// error comes from a protocol and not from an operation.
pub fn message_too_large() -> Status {
    Status::resource_exhausted("the message is larger than the server takes")
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
        _ if error.source.is_some() => tracing::debug!(cause = ?error, "request rejected"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::error::Violations;

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
    fn every_kind_has_one_row_with_the_http_status_of_connect() {
        for kind in KINDS {
            assert_eq!(TABLE.iter().filter(|row| row.kind == kind).count(), 1);
            let connect = ErrorCode::from_grpc_code(code(kind) as u32).unwrap();
            assert_eq!(connect.http_status(), find(kind).http, "{kind:?}");
            assert_eq!(connect.as_str().to_uppercase(), kind.name());
            assert_eq!(http_status_of(code(kind)), find(kind).http, "{kind:?}");
        }
    }

    #[test]
    fn a_status_has_the_details_and_not_the_cause() {
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

    /// The bytes of a status in the trailers, by tonic's own encoding.
    fn in_trailers(status: &Status) -> usize {
        let trailers = crate::transport::protocol::trailers(status);
        let length = |name: &str| trailers.get(name).map_or(0, |value| value.len());
        length("grpc-message") + length("grpc-status-details-bin")
    }

    fn violations() -> impl Strategy<Value = Violations> {
        let one = (".{0,200}", "[a-z \"%é🦀]{0,300}");
        proptest::collection::vec(one, 0..40).prop_map(|all| {
            let mut violations = Violations::default();
            all.into_iter().for_each(|(field, description)| violations.add(field, description));
            violations
        })
    }

    proptest! {
        #[test]
        fn p43_a_status_has_at_most_4_kib(
            message in ".{0,3000}",
            violations in violations(),
            wait in proptest::option::of(0u64..1 << 40),
        ) {
            let kept = violations.clone().into_kept();
            for mut error in [Error::violations(violations), Error::new(Kind::NotFound, message)] {
                error.retry_after = wait.map(Duration::from_millis);
                let status = to_status(error);
                prop_assert!(in_trailers(&status) <= MAX_STATUS_BYTES);
                prop_assert!(wire_bytes(&status) <= MAX_STATUS_BYTES);
                // Details are complete; only the last violations may be missing.
                let details = status.get_error_details();
                prop_assert_eq!(&details.error_info().unwrap().domain, DOMAIN);
                prop_assert_eq!(details.retry_info().is_some(), wait.is_some());
                let sent = details.bad_request().map_or(&[][..], |bad| &bad.field_violations);
                for (sent, kept) in sent.iter().zip(&kept) {
                    prop_assert_eq!(&sent.field, &kept.field);
                }
            }
        }

        #[test]
        fn p43_a_status_of_tonic_is_cut_between_characters(message in ".{0,9000}") {
            let status = Status::unimplemented(message.as_str());
            match shortened(&status) {
                None => prop_assert!(in_trailers(&status) <= MAX_STATUS_BYTES),
                Some(short) => {
                    prop_assert!(in_trailers(&short) <= MAX_STATUS_BYTES);
                    prop_assert_eq!(short.code(), Code::Unimplemented);
                    let start = short.message().strip_suffix('…').unwrap();
                    prop_assert!(message.starts_with(start) && start.len() > 100);
                }
            }
        }
    }

    #[test]
    fn p43_a_short_status_is_not_cut() {
        let mut violations = Violations::default();
        for i in 0..16 {
            violations.add(format_args!("filter.states[{i}]"), "must be a state that is defined");
        }
        let status = to_status(Error::violations(violations));
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations.len(), 16);
        assert!(shortened(&status).is_none());
    }

    #[test]
    fn http_statuses_map_back_to_codes() {
        for kind in KINDS {
            // 400 and 404 belong to several codes.
            if !matches!(kind, Kind::FailedPrecondition | Kind::NotFound) {
                assert_eq!(code_of_http(find(kind).http), code(kind), "{kind:?}");
            }
        }
        assert_eq!(code_of_http(StatusCode::NO_CONTENT), Code::Ok);
    }
}
