//! The headers with a client's deadline, compared with their specifications.

use std::time::Duration;

use connectrpc::CodecFormat;
use guestlist::error::Kind;
use guestlist::transport::call::Protocol;
use guestlist::transport::protocol::timeout::requested;
use http::{HeaderMap, HeaderValue};

/// Uses the input as the value of `grpc-timeout` and of `connect-timeout-ms`.
pub fn run(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let headers = HeaderMap::from_iter([
        (http::HeaderName::from_static("grpc-timeout"), value.clone()),
        (http::HeaderName::from_static("connect-timeout-ms"), value),
    ]);
    for (protocol, name, expected) in [
        (Protocol::Grpc(CodecFormat::Proto), "grpc-timeout", grpc(data)),
        (Protocol::GrpcWeb(CodecFormat::Json), "grpc-timeout", grpc(data)),
        (Protocol::Connect, "connect-timeout-ms", connect(data)),
        (Protocol::ConnectStream(CodecFormat::Proto), "connect-timeout-ms", connect(data)),
    ] {
        match (requested(protocol, &headers), expected) {
            (Ok(Some(read)), Some(expected)) => assert_eq!(read, expected, "{protocol:?}"),
            (Err(error), None) => {
                assert_eq!(error.kind, Kind::InvalidArgument);
                assert_eq!(error.violations.len(), 1);
                assert_eq!(error.violations[0].field, name);
            }
            (read, expected) => panic!("{protocol:?}: {read:?} instead of {expected:?}"),
        }
    }
    assert!(matches!(requested(Protocol::Http, &headers), Ok(None)));
}

/// `TimeoutValue TimeoutUnit`: at most 8 digits, and one of `H M S m u n`.
fn grpc(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    let nanos: u128 = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return None,
    };
    let nanos = nanos * number(digits, 8)?;
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, u32::try_from(nanos % 1_000_000_000).ok()?))
}

/// Milliseconds in at most 10 digits.
fn connect(value: &[u8]) -> Option<Duration> {
    Some(Duration::from_millis(u64::try_from(number(value, 10)?).ok()?))
}

fn number(digits: &[u8], at_most: usize) -> Option<u128> {
    if digits.is_empty() || digits.len() > at_most {
        return None;
    }
    digits.iter().try_fold(0, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + u128::from(digit - b'0'))
    })
}
