//! The time a request may take: the client's deadline, but never more than ours.
//!
//! The bound covers the way to the answer's head; a streaming answer goes on
//! after it. A malformed timeout is INVALID_ARGUMENT: silently ignoring one would
//! let a caller believe in a bound that nobody keeps.

use std::time::Duration;

use http::HeaderMap;

use super::{Handler, Middleware, Next};
use crate::error::{Error, Kind, Result};
use crate::transport::protocol::{Call, Protocol};
use crate::transport::{Request, Response};

const GRPC: &str = "grpc-timeout";
/// Connect's header, which this layer alone reads.
pub const CONNECT: &str = "connect-timeout-ms";

/// See the module.
pub struct Deadline {
    max: Duration,
}

impl Deadline {
    /// Allows `max` to every request.
    pub fn new(max: Duration) -> Self {
        Self { max }
    }
}

impl Middleware for Deadline {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        let call = Call::of(&request);
        let allowed = match asked(call.protocol, request.headers()) {
            Ok(asked) => asked.map_or(self.max, |asked| asked.min(self.max)),
            Err(error) => return call.refuse(error),
        };
        let too_late =
            || call.refuse(Error::new(Kind::DeadlineExceeded, "the time for this request ran out"));
        // A timeout looks at its future before the clock: a call that is late
        // already must not change anything.
        if allowed.is_zero() {
            return too_late();
        }
        tokio::time::timeout(allowed, next.run(request)).await.unwrap_or_else(|_| too_late())
    }
}

/// The client's deadline, read as its protocol writes it.
fn asked(protocol: Protocol, headers: &HeaderMap) -> Result<Option<Duration>> {
    let (name, parse): (_, fn(&str) -> Option<Duration>) = match protocol {
        Protocol::Grpc | Protocol::GrpcWeb | Protocol::GrpcWebText => (GRPC, parse_grpc),
        Protocol::Connect | Protocol::ConnectStream(_) => (CONNECT, parse_connect),
        Protocol::Vendor(_) | Protocol::Http => return Ok(None),
    };
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    match value.to_str().ok().and_then(parse) {
        Some(asked) => Ok(Some(asked)),
        None => Err(Error::invalid(
            name,
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

    #[test]
    fn grpc_timeouts() {
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
    fn connect_timeouts() {
        assert_eq!(parse_connect("0"), Some(Duration::ZERO));
        assert_eq!(parse_connect("9999999999"), Some(Duration::from_millis(9_999_999_999)));
        for bad in ["", "-1", "+1", "1.5", "12345678901", "1s", " 1"] {
            assert_eq!(parse_connect(bad), None, "{bad}");
        }
    }

    #[test]
    fn each_protocol_reads_its_own_header() {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC, "nonsense".parse().unwrap());
        headers.insert(CONNECT, "5".parse().unwrap());
        assert_eq!(asked(Protocol::Connect, &headers).unwrap(), Some(Duration::from_millis(5)));
        assert!(asked(Protocol::Grpc, &headers).is_err());
        assert_eq!(asked(Protocol::Http, &headers).unwrap(), None);
    }
}
