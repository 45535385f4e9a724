//! The time a request may take: the client's deadline, but never more than ours.
//!
//! Ours covers the way to the answer's head; a streaming answer goes on after it,
//! until the client's own deadline. A malformed timeout is INVALID_ARGUMENT:
//! silently ignoring one would let a caller believe in a bound that nobody keeps.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body as HttpBody, Frame};
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;

use super::{Handler, Middleware, Next};
use crate::error::{Error, Result};
use crate::transport::protocol::{CallInfo, Protocol, frame, method_of};
use crate::transport::{Request, Response};

/// gRPC's header.
pub const GRPC: HeaderName = HeaderName::from_static("grpc-timeout");
const CONNECT: HeaderName = HeaderName::from_static("connect-timeout-ms");

/// See the module.
pub struct Deadline {
    max: Duration,
}

/// When a streaming answer has to be over; in the extensions of requests for one
/// whose client says so.
#[derive(Debug, Clone, Copy)]
struct End(Instant);

impl Deadline {
    /// Allows `max` to every request.
    pub fn new(max: Duration) -> Self {
        Self { max }
    }
}

impl Middleware for Deadline {
    async fn handle<S: Handler>(&self, mut request: Request, next: Next<S>) -> Response {
        let call = CallInfo::of(&request);
        let asked = match asked(call.protocol, request.headers()) {
            Ok(asked) => asked,
            Err(error) => return call.refuse(error),
        };
        let allowed = asked.map_or(self.max, |asked| asked.min(self.max));
        // A timeout looks at its future before the clock: a call that is late
        // already must not change anything.
        if allowed.is_zero() {
            return call.answer(too_late());
        }
        if let Some(end) = asked.and_then(|asked| Instant::now().checked_add(asked))
            && method_of(&request).is_some_and(|method| method.answers_in_stream())
        {
            request.extensions_mut().insert(End(end));
        }
        let answer = tokio::time::timeout(allowed, next.run(request));
        answer.await.unwrap_or_else(|_| call.answer(too_late()))
    }
}

/// A code and a message alone, as for all that a protocol itself refuses.
fn too_late() -> Status {
    Status::deadline_exceeded("the time for this request ran out")
}

/// When the client wants this request's streaming answer to be over, if it says.
pub fn end_of(request: &Request) -> Option<Instant> {
    request.extensions().get::<End>().map(|end| end.0)
}

/// Ends a streaming answer then. Behind the translation, so that the end is told in
/// the caller's protocol.
pub fn until(end: Instant, body: Body) -> Body {
    Body::new(Until { body: Some(body), end: Box::pin(tokio::time::sleep_until(end)) })
}

/// A body of gRPC's that breaks off in time.
struct Until {
    body: Option<Body>,
    end: Pin<Box<Sleep>>,
}

impl HttpBody for Until {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        // First, since a body may always have something more.
        if this.end.as_mut().poll(cx).is_ready() {
            this.body = None;
            return Poll::Ready(Some(Ok(Frame::trailers(frame::trailers(&too_late())))));
        }
        Pin::new(body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }
}

/// Writes Connect's timeout, which has been looked at, as gRPC's; one that was
/// there is another protocol's word.
pub fn connect_as_grpc(headers: &mut HeaderMap) {
    headers.remove(GRPC);
    let asked = headers.remove(CONNECT);
    let asked = asked.as_ref().and_then(|value| parse_connect(value.to_str().ok()?));
    if let Some(timeout) = asked.and_then(|asked| HeaderValue::try_from(write_grpc(asked)).ok()) {
        headers.insert(GRPC, timeout);
    }
}

/// gRPC has room for 8 digits.
fn write_grpc(timeout: Duration) -> String {
    match timeout.as_millis() {
        millis @ ..100_000_000 => format!("{millis}m"),
        _ => format!("{}S", timeout.as_secs()),
    }
}

/// The client's deadline, read as its protocol writes it.
///
/// # Errors
/// INVALID_ARGUMENT, naming the header, if it is malformed.
pub fn asked(protocol: Protocol, headers: &HeaderMap) -> Result<Option<Duration>> {
    let (name, parse): (_, fn(&str) -> Option<Duration>) = match protocol {
        protocol if protocol.is_grpc() => (GRPC, parse_grpc),
        Protocol::Connect | Protocol::ConnectStream(_) => (CONNECT, parse_connect),
        _ => return Ok(None),
    };
    let Some(value) = headers.get(&name) else {
        return Ok(None);
    };
    match value.to_str().ok().and_then(parse) {
        Some(asked) => Ok(Some(asked)),
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
    fn connect_timeouts_are_written_as_grpc_has_them() {
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
        assert_eq!(asked(Protocol::Connect, &headers).unwrap(), Some(Duration::from_millis(5)));
        assert!(asked(Protocol::Grpc(CodecFormat::Proto), &headers).is_err());
        assert_eq!(asked(Protocol::Http, &headers).unwrap(), None);
    }
}
