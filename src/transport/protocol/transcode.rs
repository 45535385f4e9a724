//! Messages in JSON over gRPC's framing, for gRPC, gRPC-Web and Connect's streams:
//! behind it they are protobuf. One message at a time, as they come.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use connectrpc::ErrorCode;
use connectrpc::compression::CompressionRegistry;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body as HttpBody, Frame};
use tonic::Status;
use tonic::body::Body;
use tower::{Service, ServiceExt};

use super::methods::Method;
use super::{frame, json, message_bound, method_of};
use crate::transport::layers::refine::too_large;
use crate::transport::layers::{BoxFuture, Handler};
use crate::transport::status::to_status;
use crate::transport::{Request, Response};

/// How a body's messages are packed.
pub const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// How those of the answer may be.
pub const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// The ways to pack that there are, the same as everywhere else.
pub static PACKERS: LazyLock<CompressionRegistry> = LazyLock::new(CompressionRegistry::default);

/// In front of a tonic service, for calls in JSON.
#[derive(Clone)]
pub struct Transcode<S> {
    rpc: S,
    max_request_bytes: usize,
}

impl<S> Transcode<S> {
    /// `max_request_bytes` bounds a message, packed and not.
    pub fn new(rpc: S, max_request_bytes: usize) -> Self {
        Self { rpc, max_request_bytes }
    }
}

impl<S: Handler> Service<Request> for Transcode<S> {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> BoxFuture {
        let rpc = self.rpc.clone();
        let Some(method) = method_of(&request).cloned() else {
            return Box::pin(rpc.oneshot(request));
        };
        // The answer is packed here, and so not behind.
        let headers = request.headers_mut();
        let asked = text(headers, &ENCODING).map(str::to_owned);
        let accepted = headers.remove(ACCEPT_ENCODING);
        let accepted = accepted.as_ref().and_then(|value| value.to_str().ok());
        let packed = PACKERS.negotiate_encoding(accepted, asked.as_deref());
        let unpacked = asked.filter(|encoding| PACKERS.supports(encoding));
        if unpacked.is_some() {
            headers.remove(ENCODING);
        }
        let limit = message_bound(&request, self.max_request_bytes);
        let input = In { method: Arc::clone(&method), unpacked, limit };
        let request = request.map(|body| Body::new(Transcoded::new(body, input)));
        Box::pin(async move {
            let mut response = rpc.oneshot(request).await?;
            if let Some(packed) = packed {
                response.headers_mut().insert(ENCODING, HeaderValue::from_static(packed));
            }
            Ok(response.map(|body| Body::new(Transcoded::new(body, Out { method, packed }))))
        })
    }
}

/// A header's value, if it is text.
pub fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What becomes of each message.
trait Convert: Unpin {
    /// The most bytes that one may have.
    fn limit(&self) -> usize;
    /// One message, framed again.
    fn convert(&self, flag: u8, message: Bytes) -> Result<Bytes, Status>;
}

/// JSON, as it came, to protobuf.
struct In {
    method: Arc<Method>,
    unpacked: Option<String>,
    limit: usize,
}

impl Convert for In {
    fn limit(&self) -> usize {
        self.limit
    }

    fn convert(&self, flag: u8, message: Bytes) -> Result<Bytes, Status> {
        let message = match (flag, &self.unpacked) {
            (0, _) => message,
            (frame::COMPRESSED, Some(encoding)) => {
                let unpacked = PACKERS.decompress_with_limit(encoding, message, self.limit);
                unpacked.map_err(|error| not_unpacked(error.code))?
            }
            // For tonic to refuse.
            _ => return frame::pack(flag, &message),
        };
        frame::pack(0, &json::decode(self.method.input(), &message, None).map_err(to_status)?)
    }
}

fn not_unpacked(code: ErrorCode) -> Status {
    match code {
        ErrorCode::ResourceExhausted => too_large(),
        _ => Status::internal("Error decompressing"),
    }
}

/// Protobuf to JSON, packed as was agreed.
struct Out {
    method: Arc<Method>,
    packed: Option<&'static str>,
}

impl Convert for Out {
    fn limit(&self) -> usize {
        usize::MAX
    }

    fn convert(&self, _: u8, message: Bytes) -> Result<Bytes, Status> {
        let json = json::encode(self.method.output(), &message).map_err(to_status)?;
        let Some(encoding) = self.packed else {
            return frame::pack(0, &json);
        };
        let packed = PACKERS.compress(encoding, &json);
        let packed = packed.map_err(|_| Status::internal("internal error"))?;
        frame::pack(frame::COMPRESSED, &packed)
    }
}

/// A body whose messages are converted.
struct Transcoded<C> {
    body: Body,
    buffer: BytesMut,
    convert: C,
}

impl<C: Convert> Transcoded<C> {
    fn new(body: Body, convert: C) -> Self {
        Self { body, buffer: BytesMut::new(), convert }
    }

    /// The next message that has come whole, converted.
    fn next(&mut self) -> Result<Option<Bytes>, Status> {
        if frame::length(&self.buffer).is_some_and(|length| length > self.convert.limit()) {
            return Err(too_large());
        }
        let whole = frame::next(&mut self.buffer);
        whole.map(|(flag, message)| self.convert.convert(flag, message)).transpose()
    }
}

impl<C: Convert> HttpBody for Transcoded<C> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(message) = self.next().transpose() {
                return Poll::Ready(Some(message.map(Frame::data)));
            }
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                // Half a message is for tonic to refuse.
                None if !self.buffer.is_empty() => {
                    let rest = self.buffer.split().freeze();
                    return Poll::Ready(Some(Ok(Frame::data(rest))));
                }
                end => return Poll::Ready(end),
            };
            match frame.into_data() {
                Ok(data) => self.buffer.extend_from_slice(&data),
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        // An answer of trailers only stays one.
        self.buffer.is_empty() && self.body.is_end_stream()
    }
}
