//! tonic's own refusals of bad input, in the codes that ours have; and the end of
//! streaming answers whose time has run out, which tonic does not see to
//! (grpc/grpc-rust#936 for its own timeout).
//!
//! tonic answers a message that is too large with OUT_OF_RANGE and one that it
//! cannot read with INTERNAL. The one is a limit and the other the caller's
//! fault; INTERNAL is kept for ours. Errors of ours carry details and are left
//! alone.

use http_body_util::BodyExt;
use tonic::body::Body;
use tonic::{Code, Status};

use super::{Handler, Middleware, Next, deadline};
use crate::error::Error;
use crate::transport::protocol::{frame, method_of};
use crate::transport::status::{shortened, to_status};
use crate::transport::{Request, Response};

/// See the module.
pub struct Refine;

impl Middleware for Refine {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        let in_stream = method_of(&request).is_some_and(|method| method.answers_in_stream());
        let end = deadline::end_of(&request);
        let response = next.run(request).await;
        if response.headers().contains_key(Status::GRPC_STATUS) {
            let status = Status::from_header_map(response.headers());
            return match status.as_ref().and_then(refined) {
                Some(status) => status.into_http(),
                None => response,
            };
        }
        if !in_stream {
            return response;
        }
        // What a stream's messages bring is told at its answer's end.
        response.map(|body| {
            let body = match end {
                Some(end) => deadline::until(end, body),
                None => body,
            };
            Body::new(body.map_frame(|mut frame| {
                if let Some(trailers) = frame.trailers_mut()
                    && let Some(status) = Status::from_header_map(trailers)
                    && let Some(status) = refined(&status)
                {
                    *trailers = frame::trailers(&status);
                }
                frame
            }))
        })
    }
}

/// The status to answer instead of one of tonic's.
fn refined(status: &Status) -> Option<Status> {
    if !status.details().is_empty() {
        return None;
    }
    let message = status.message();
    let starts = |prefix: &str| message.starts_with(prefix);
    let invalid = |what: &str| Some(to_status(Error::invalid("body", what)));
    match status.code() {
        Code::OutOfRange if starts("Error, decoded message length too large") => Some(too_large()),
        Code::ResourceExhausted if starts("Error decompressing: size limit") => Some(too_large()),
        Code::Internal if starts("failed to decode Protobuf message") => {
            invalid("is not a protobuf message of the type this method takes")
        }
        // gRPC wants INTERNAL for a message that is packed in no way.
        Code::Internal if starts("protocol error: received message with compressed-flag") => {
            Some(Status::internal("a message is compressed, but no header says how"))
        }
        Code::Internal if starts("protocol error: received message with") => {
            invalid("has a message with a wrong compression flag")
        }
        Code::Internal if starts("Error decompressing") => {
            invalid("cannot be decompressed as grpc-encoding says")
        }
        Code::Internal if starts("tonic-web:") => invalid("is not base64 or breaks off"),
        _ => shortened(status),
    }
}

/// A message beyond the limit, over whatever protocol: a code and a message alone,
/// as for all that a protocol itself refuses.
pub fn too_large() -> Status {
    Status::resource_exhausted("the message is larger than the server takes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn only_what_tonic_itself_said_is_changed() {
        let large = Status::out_of_range("Error, decoded message length too large: found 9 bytes");
        assert_eq!(refined(&large).unwrap().code(), Code::ResourceExhausted);
        let broken = Status::internal("failed to decode Protobuf message: buffer underflow");
        assert_eq!(refined(&broken).unwrap().code(), Code::InvalidArgument);

        assert!(refined(&Status::internal("internal error")).is_none());
        assert!(refined(&Status::not_found("failed to decode Protobuf message")).is_none());
        let ours = to_status(Error::new(Kind::Internal, "Missing request message."));
        assert!(refined(&ours).is_none());
    }
}
