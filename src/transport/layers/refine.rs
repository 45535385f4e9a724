//! tonic's own refusals of bad input, in the codes that ours have.
//!
//! tonic answers a message that is too large with OUT_OF_RANGE and one that it
//! cannot read with INTERNAL. The one is a limit and the other the caller's
//! fault; INTERNAL is kept for ours. Errors of ours carry details and are left
//! alone.

use tonic::{Code, Status};

use super::{Handler, Middleware, Next};
use crate::error::{Error, Kind};
use crate::transport::status::to_status;
use crate::transport::{Request, Response};

/// See the module.
pub struct Refine;

impl Middleware for Refine {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        let response = next.run(request).await;
        match Status::from_header_map(response.headers()).as_ref().and_then(refined) {
            Some(error) => to_status(error).into_http(),
            None => response,
        }
    }
}

fn refined(status: &Status) -> Option<Error> {
    if !status.details().is_empty() {
        return None;
    }
    let message = status.message();
    let starts = |prefix: &str| message.starts_with(prefix);
    let invalid = |what: &str| Some(Error::invalid("body", what));
    match status.code() {
        Code::OutOfRange if starts("Error, decoded message length too large") => Some(too_large()),
        Code::ResourceExhausted if starts("Error decompressing: size limit") => Some(too_large()),
        Code::Internal if starts("failed to decode Protobuf message") => {
            invalid("is not a protobuf message of the type this method takes")
        }
        Code::Internal if starts("Unexpected EOF decoding stream") => {
            invalid("ends before its message does")
        }
        Code::Internal if starts("Missing request message") => invalid("has no message"),
        Code::Internal if starts("protocol error: received message with") => {
            invalid("has a message with a wrong compression flag")
        }
        Code::Internal if starts("Error decompressing") => {
            invalid("cannot be decompressed as grpc-encoding says")
        }
        Code::Internal if starts("tonic-web:") => invalid("is not base64 or breaks off"),
        _ => None,
    }
}

/// A message beyond the limit, over whatever protocol.
pub fn too_large() -> Error {
    Error::new(Kind::ResourceExhausted, "the message is larger than the server takes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_tonic_itself_said_is_changed() {
        let large = Status::out_of_range("Error, decoded message length too large: found 9 bytes");
        assert_eq!(refined(&large).unwrap().kind, Kind::ResourceExhausted);
        let broken = Status::internal("failed to decode Protobuf message: buffer underflow");
        assert_eq!(refined(&broken).unwrap().kind, Kind::InvalidArgument);

        assert!(refined(&Status::internal("internal error")).is_none());
        assert!(refined(&Status::not_found("failed to decode Protobuf message")).is_none());
        let ours = to_status(Error::new(Kind::Internal, "Missing request message."));
        assert!(refined(&ours).is_none());
    }
}
