//! The time-outs of gRPC and Connect.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{Error, Result};
use crate::transport::call::Protocol;

pub const GRPC: HeaderName = HeaderName::from_static("grpc-timeout");
const CONNECT: HeaderName = HeaderName::from_static("connect-timeout-ms");

/// Replaces Connect's time-out, which is already checked, by gRPC's. A gRPC time-out has no meaning
/// in a Connect request and is removed.
pub fn connect_as_grpc(headers: &mut HeaderMap) {
    headers.remove(GRPC);
    let timeout = headers.remove(CONNECT);
    let timeout = timeout.as_ref().and_then(|value| parse_connect(value.to_str().ok()?));
    let timeout = timeout.and_then(|timeout| HeaderValue::try_from(format_grpc(timeout)).ok());
    if let Some(timeout) = timeout {
        headers.insert(GRPC, timeout);
    }
}

/// gRPC allows at most 8 digits.
fn format_grpc(timeout: Duration) -> String {
    match timeout.as_millis() {
        millis @ ..100_000_000 => format!("{millis}m"),
        _ => format!("{}S", timeout.as_secs()),
    }
}

/// The time-out that the client sends, in the format of its protocol.
///
/// # Errors
/// INVALID_ARGUMENT with the name of the header if it is malformed.
pub fn requested(protocol: Protocol, headers: &HeaderMap) -> Result<Option<Duration>> {
    let (name, parse): (_, fn(&str) -> Option<Duration>) = match protocol {
        protocol if protocol.is_grpc() => (GRPC, parse_grpc),
        Protocol::Connect | Protocol::ConnectStream(_) => (CONNECT, parse_connect),
        _ => return Ok(None),
    };
    let Some(value) = headers.get(&name) else {
        return Ok(None);
    };
    match value.to_str().ok().and_then(parse) {
        Some(timeout) => Ok(Some(timeout)),
        None => Err(Error::invalid(
            name.as_str(),
            if name == GRPC {
                "must be at most 8 digits and a unit, one of H M S m u n"
            } else {
                "must be milliseconds in at most 10 digits"
            },
        )),
    }
}

fn parse_grpc(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let value = digits_only(digits, 8)?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

fn parse_connect(text: &str) -> Option<Duration> {
    digits_only(text, 10).map(Duration::from_millis)
}

fn digits_only(text: &str, max_len: usize) -> Option<u64> {
    let well_formed =
        (1..=max_len).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    well_formed.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use connectrpc::CodecFormat;

    #[test]
    fn grpc_timeouts_parse() {
        for (text, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("250m", Duration::from_millis(250)),
            ("9u", Duration::from_micros(9)),
            ("99999999n", Duration::from_nanos(99_999_999)),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
        ] {
            assert_eq!(parse_grpc(text), Some(expected), "{text}");
        }
        for bad in ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "123456789S", " 1S", "1é"] {
            assert_eq!(parse_grpc(bad), None, "{bad}");
        }
    }

    #[test]
    fn connect_timeouts_parse() {
        assert_eq!(parse_connect("0"), Some(Duration::ZERO));
        assert_eq!(parse_connect("9999999999"), Some(Duration::from_millis(9_999_999_999)));
        for bad in ["", "-1", "+1", "1.5", "12345678901", "1s", " 1"] {
            assert_eq!(parse_connect(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_connect_timeout_becomes_a_grpc_timeout() {
        for (connect, grpc) in
            [("0", "0m"), ("250", "250m"), ("99999999", "99999999m"), ("9999999999", "9999999S")]
        {
            let mut headers = HeaderMap::new();
            headers.insert(CONNECT, connect.parse().unwrap());
            headers.insert(GRPC, "1n".parse().unwrap());
            connect_as_grpc(&mut headers);
            assert_eq!((headers.len(), &headers[GRPC]), (1, &grpc.parse().unwrap()));
        }
    }

    #[test]
    fn each_protocol_reads_its_own_header() {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC, "nonsense".parse().unwrap());
        headers.insert(CONNECT, "5".parse().unwrap());
        assert_eq!(requested(Protocol::Connect, &headers).unwrap(), Some(Duration::from_millis(5)));
        assert!(requested(Protocol::Grpc(CodecFormat::Proto), &headers).is_err());
        assert_eq!(requested(Protocol::Http, &headers).unwrap(), None);
    }
}
