//! Maps tonic's own status codes to ours, and ends streaming responses at their deadline, which
//! tonic does not do (grpc/grpc-rust#936).
//!
//! tonic's code is OUT_OF_RANGE for a message that is too large and INTERNAL for one that does not
//! decode. The first becomes RESOURCE_EXHAUSTED and the second INVALID_ARGUMENT, because INTERNAL
//! means a fault of the server. Our own errors have details and stay unchanged.

use http_body_util::BodyExt;
use tonic::body::Body;
use tonic::{Code, Status};

use super::deadline;
use crate::error::Error;
use crate::transport::call::method_of;
use crate::transport::middleware::{Handler, Middleware, Next};
use crate::transport::protocol::trailers;
use crate::transport::status::{message_too_large, shortened, to_status};
use crate::transport::{Request, Response};

pub struct MapTonicStatus;

impl Middleware for MapTonicStatus {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        let is_stream = method_of(&request).is_some_and(|method| method.is_server_streaming());
        let deadline = deadline::stream_deadline(&request);
        let response = next.run(request).await;
        if response.headers().contains_key(Status::GRPC_STATUS) {
            let status = Status::from_header_map(response.headers());
            return match status.as_ref().and_then(mapped) {
                Some(status) => status.into_http(),
                None => response,
            };
        }
        if !is_stream {
            return response;
        }
        // Errors of a stream are in the trailers of its response.
        response.map(|body| {
            let body = match deadline {
                Some(deadline) => deadline::until(deadline, body),
                None => body,
            };
            Body::new(body.map_frame(|mut frame| {
                if let Some(old) = frame.trailers_mut()
                    && let Some(status) = Status::from_header_map(old)
                    && let Some(status) = mapped(&status)
                {
                    *old = trailers(&status);
                }
                frame
            }))
        })
    }
}

/// The status that replaces `status`; `None` if it stays unchanged.
fn mapped(status: &Status) -> Option<Status> {
    if !status.details().is_empty() {
        return None;
    }
    let message = status.message();
    let starts = |prefix: &str| message.starts_with(prefix);
    let invalid = |what: &str| Some(to_status(Error::invalid("body", what)));
    match status.code() {
        Code::OutOfRange if starts("Error, decoded message length too large") => {
            Some(message_too_large())
        }
        Code::ResourceExhausted if starts("Error decompressing: size limit") => {
            Some(message_too_large())
        }
        Code::Internal if starts("failed to decode Protobuf message") => {
            invalid("is not a protobuf message of the type this method takes")
        }
        // The gRPC specification requires INTERNAL for a compressed message without an encoding.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn only_statuses_of_tonic_are_mapped() {
        let large = Status::out_of_range("Error, decoded message length too large: found 9 bytes");
        assert_eq!(mapped(&large).unwrap().code(), Code::ResourceExhausted);
        let broken = Status::internal("failed to decode Protobuf message: buffer underflow");
        assert_eq!(mapped(&broken).unwrap().code(), Code::InvalidArgument);

        assert!(mapped(&Status::internal("internal error")).is_none());
        assert!(mapped(&Status::not_found("failed to decode Protobuf message")).is_none());
        let ours = to_status(Error::new(Kind::Internal, "Missing request message."));
        assert!(mapped(&ours).is_none());
    }
}
