//! Connect's streams. They differ from gRPC's streams in the names of some headers and in their
//! end: a last message replaces the trailers. All other messages pass unchanged, in both directions
//! at the same time.
//!
//! `connectrpc` 0.9 does not serve them: it fixes the trailers of a response before the first
//! message, but a service knows them only after the last one. It does not serve JSON over gRPC
//! either: it separates the details of an error from its headers (anthropics/connect-rust#286).

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use connectrpc::ConnectError;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use serde::Serialize;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::ServiceExt;

use super::{VERSION, error};
use crate::error::Error;
use crate::transport::body::{Adapt, PollFrame, adapted};
use crate::transport::call::{CallInfo, Protocol};
use crate::transport::middleware::Handler;
use crate::transport::protocol::{frame, transcode};
use crate::transport::status::to_status;
use crate::transport::{Request, Response};

/// Connect's names for `grpc-encoding` and `grpc-accept-encoding`.
const ENCODING: HeaderName = HeaderName::from_static("connect-content-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("connect-accept-encoding");

/// The flag of the last message of a response.
const END_FLAG: u8 = 2;

/// Serves a call of a streaming method with `rpc`.
pub async fn run<S: Handler>(rpc: S, mut request: Request) -> Response {
    let call = CallInfo::of(&request);
    if request.headers().get(&VERSION).is_some_and(|version| version != "1") {
        let status = to_status(Error::invalid(VERSION.as_str(), "must be 1"));
        return end_response(call.protocol, &frame::trailers(&status));
    }
    let mut headers = frame::request_headers(request.headers());
    rename(request.headers(), &ENCODING, &mut headers, transcode::ENCODING);
    rename(request.headers(), &ACCEPT_ENCODING, &mut headers, transcode::ACCEPT_ENCODING);
    *request.headers_mut() = headers;
    *request.version_mut() = http::Version::HTTP_2;

    let response = match rpc.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if response.headers().contains_key(Status::GRPC_STATUS) {
        return end_response(call.protocol, response.headers());
    }
    let (mut head, body) = response.into_parts();
    let mut headers = frame::metadata(&head.headers);
    rename(&head.headers, &transcode::ENCODING, &mut headers, ENCODING);
    headers.insert(header::CONTENT_TYPE, content_type(call.protocol));
    head.headers = headers;
    Response::from_parts(head, adapted(body, EndStream { ended: false }))
}

/// A response that has only the last message, made from gRPC's `trailers`.
pub fn end_response(protocol: Protocol, trailers: &HeaderMap) -> Response {
    let mut response = Response::new(Body::new(http_body_util::Full::new(end_message(trailers))));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type(protocol));
    if let Some(status) = Status::from_header_map(trailers) {
        response.extensions_mut().insert(status.code());
    }
    response
}

fn content_type(protocol: Protocol) -> HeaderValue {
    HeaderValue::from_static(protocol.content_type().unwrap_or("application/connect+proto"))
}

fn rename(from: &HeaderMap, name: &HeaderName, to: &mut HeaderMap, other: HeaderName) {
    if let Some(value) = from.get(name) {
        to.insert(other, value.clone());
    }
}

/// A body adapter that ends a gRPC body with Connect's last message.
struct EndStream {
    ended: bool,
}

impl Adapt for EndStream {
    fn poll_frame(&mut self, body: &mut Body, cx: &mut Context<'_>) -> PollFrame {
        if self.ended {
            return Poll::Ready(None);
        }
        let trailers = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_trailers() {
                Ok(trailers) => trailers,
                Err(data) => return Poll::Ready(Some(Ok(data))),
            },
            Some(Err(status)) => frame::trailers(&status),
            None => HeaderMap::new(),
        };
        *body = Body::empty();
        self.ended = true;
        Poll::Ready(Some(Ok(Frame::data(end_message(&trailers)))))
    }

    fn is_end_stream(&self, _: &Body) -> bool {
        self.ended
    }

    fn size_hint(&self, _: &Body) -> SizeHint {
        SizeHint::default()
    }
}

/// The JSON of the last message.
#[derive(Serialize)]
struct EndJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ConnectError>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, Vec<String>>,
}

/// The last message, made from gRPC's trailers. Trailers without a status mean that the response is
/// incomplete.
fn end_message(trailers: &HeaderMap) -> Bytes {
    let status = Status::from_header_map(trailers);
    let status = status.unwrap_or_else(|| Status::internal("internal error"));
    let error = (status.code() != Code::Ok).then(|| error::from_status(&status));
    let mut metadata: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in trailers.iter().filter(|(name, _)| frame::is_metadata(name)) {
        // JSON cannot hold a value that is not text.
        if let Ok(value) = value.to_str() {
            metadata.entry(name.to_string()).or_default().push(value.to_owned());
        }
    }
    let json = serde_json::to_vec(&EndJson { error, metadata }).unwrap_or_default();
    // Packing fails above 4 GiB; headers are far smaller.
    frame::pack(END_FLAG, &json).unwrap_or_default()
}
