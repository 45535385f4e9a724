//! Converts JSON messages in gRPC's framing to protobuf and back, one at a time as they arrive:
//! for gRPC, gRPC-Web and Connect's streams.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use connectrpc::ErrorCode;
use connectrpc::compression::CompressionRegistry;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tower::{Service, ServiceExt};

use super::{FrameReader, Piece, frame, json};
use crate::transport::body::{Adapt, PollFrame, adapted};
use crate::transport::call::{max_message_bytes, method_of};
use crate::transport::methods::Method;
use crate::transport::middleware::{BoxFuture, Handler};
use crate::transport::status::{message_too_large, to_status};
use crate::transport::{Request, Response};

pub const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
pub const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// The encodings of compressed messages, for all protocols.
pub static COMPRESSION: LazyLock<CompressionRegistry> = LazyLock::new(CompressionRegistry::default);

/// Converts calls in JSON for a tonic service.
#[derive(Clone)]
pub struct Transcode<S> {
    rpc: S,
    max_request_bytes: usize,
}

impl<S> Transcode<S> {
    /// `max_request_bytes` bounds a message, before and after decompression.
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
        // Compression happens here: tonic receives and sends uncompressed messages.
        let headers = request.headers_mut();
        let encoding = text(headers, &ENCODING).map(str::to_owned);
        let accepted = headers.remove(ACCEPT_ENCODING);
        let accepted = accepted.as_ref().and_then(|value| value.to_str().ok());
        let negotiated = COMPRESSION.negotiate_encoding(accepted, encoding.as_deref());
        let encoding = encoding.filter(|encoding| COMPRESSION.supports(encoding));
        if encoding.is_some() {
            headers.remove(ENCODING);
        }
        let max_bytes = max_message_bytes(&request, self.max_request_bytes);
        let to_protobuf = ToProtobuf { method: Arc::clone(&method), encoding, max_bytes };
        let request = request.map(|body| converted(body, to_protobuf));
        Box::pin(async move {
            let mut response = rpc.oneshot(request).await?;
            if let Some(encoding) = negotiated {
                response.headers_mut().insert(ENCODING, HeaderValue::from_static(encoding));
            }
            let to_json = ToJson { method, encoding: negotiated };
            Ok(response.map(|body| converted(body, to_json)))
        })
    }
}

/// The value of a header, if it is text.
pub fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Converts single messages.
trait Convert: Send + Unpin + 'static {
    /// The maximum size of a message in bytes.
    fn max_bytes(&self) -> usize;
    /// The converted message in its frame.
    fn convert(&self, flag: u8, message: Bytes) -> Result<Bytes, Status>;
}

/// Converts JSON to protobuf.
struct ToProtobuf {
    method: Arc<Method>,
    /// The encoding of compressed messages.
    encoding: Option<String>,
    max_bytes: usize,
}

impl Convert for ToProtobuf {
    fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    fn convert(&self, flag: u8, message: Bytes) -> Result<Bytes, Status> {
        let message = match (flag, &self.encoding) {
            (0, _) => message,
            (frame::COMPRESSED, Some(encoding)) => {
                let message = COMPRESSION.decompress_with_limit(encoding, message, self.max_bytes);
                message.map_err(|error| not_decompressed(error.code))?
            }
            // Passed on unchanged: tonic rejects it.
            _ => return frame::pack(flag, &message),
        };
        frame::pack(0, &json::decode(self.method.input(), &message, None).map_err(to_status)?)
    }
}

fn not_decompressed(code: ErrorCode) -> Status {
    match code {
        ErrorCode::ResourceExhausted => message_too_large(),
        // tonic's own error message, which `map_tonic_status` maps to INVALID_ARGUMENT.
        _ => Status::internal("Error decompressing"),
    }
}

/// Converts protobuf to JSON.
struct ToJson {
    method: Arc<Method>,
    /// The encoding to compress with.
    encoding: Option<&'static str>,
}

impl Convert for ToJson {
    fn max_bytes(&self) -> usize {
        usize::MAX
    }

    fn convert(&self, _: u8, message: Bytes) -> Result<Bytes, Status> {
        let json = json::encode(self.method.output(), &message).map_err(to_status)?;
        let Some(encoding) = self.encoding else {
            return frame::pack(0, &json);
        };
        let compressed = COMPRESSION.compress(encoding, &json);
        let compressed = compressed.map_err(|_| Status::internal("internal error"))?;
        frame::pack(frame::COMPRESSED, &compressed)
    }
}

/// A body adapter that converts each message.
struct Converter<C> {
    convert: C,
    reader: FrameReader,
    /// Bytes that have arrived and are not read yet.
    input: Bytes,
    flag: u8,
    message: BytesMut,
}

fn converted(body: Body, convert: impl Convert) -> Body {
    let reader = FrameReader::default();
    let (input, message) = (Bytes::new(), BytesMut::new());
    adapted(body, Converter { convert, reader, input, flag: 0, message })
}

impl<C: Convert> Converter<C> {
    /// Converts the next message if it has arrived completely.
    fn next(&mut self) -> Result<Option<Bytes>, Status> {
        let mut input = &self.input[..];
        let mut complete = false;
        while !complete && let Some(piece) = self.reader.next(&mut input) {
            match piece {
                Piece::Prefix { length, .. } if length > self.convert.max_bytes() => {
                    return Err(message_too_large());
                }
                Piece::Prefix { flag, .. } => self.flag = flag,
                Piece::Data(data) => self.message.extend_from_slice(data),
            }
            complete = self.reader.is_between_messages();
        }
        let used = self.input.len() - input.len();
        self.input.advance(used);
        if !complete {
            return Ok(None);
        }
        self.convert.convert(self.flag, self.message.split().freeze()).map(Some)
    }
}

impl<C: Convert> Adapt for Converter<C> {
    fn poll_frame(&mut self, body: &mut Body, cx: &mut Context<'_>) -> PollFrame {
        loop {
            if let Some(message) = self.next().transpose() {
                return Poll::Ready(Some(message.map(Frame::data)));
            }
            let frame = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                // The body ends inside a message. An incomplete prefix lets the next reader detect
                // this and reject the body.
                None if !self.reader.is_between_messages() => {
                    self.reader = FrameReader::default();
                    return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0])))));
                }
                end => return Poll::Ready(end),
            };
            match frame.into_data() {
                Ok(data) => self.input = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
    }

    fn is_end_stream(&self, body: &Body) -> bool {
        // So a gRPC response of the form Trailers-Only keeps that form.
        self.input.is_empty() && self.reader.is_between_messages() && body.is_end_stream()
    }

    fn size_hint(&self, _: &Body) -> SizeHint {
        SizeHint::default()
    }
}
