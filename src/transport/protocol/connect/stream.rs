//! Connect's streams: gRPC's, but for the names of some headers and the end, which
//! is a last message instead of trailers. So messages pass through as they are,
//! both ways at the same time.
//!
//! They do not go through `connectrpc` 0.9: its answers' trailers are fixed before
//! the first message, and a service's are known after the last. (JSON over gRPC does
//! not either, since there it splits a refusal's details from its headers:
//! anthropics/connect-rust#286.)

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use connectrpc::ConnectError;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body::{Body as HttpBody, Frame};
use serde::Serialize;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::ServiceExt;

use super::{VERSION, error};
use crate::error::Error;
use crate::transport::layers::Handler;
use crate::transport::protocol::{CallInfo, Protocol, frame, transcode};
use crate::transport::{Request, Response};

/// Connect's names for gRPC's headers about packing.
const ENCODING: HeaderName = HeaderName::from_static("connect-content-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("connect-accept-encoding");

/// The flag of the message that ends an answer.
const END: u8 = 2;

/// Answers a call of a streaming method by one of `rpc`.
pub async fn run<S: Handler>(rpc: S, mut request: Request) -> Response {
    let call = CallInfo::of(&request);
    if request.headers().get(&VERSION).is_some_and(|version| version != "1") {
        return call.refuse(Error::invalid(VERSION.as_str(), "must be 1"));
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
        return refused(call.protocol, response.headers());
    }
    let (mut head, body) = response.into_parts();
    let mut headers = frame::metadata(&head.headers);
    rename(&head.headers, &transcode::ENCODING, &mut headers, ENCODING);
    headers.insert(header::CONTENT_TYPE, content_type(call.protocol));
    head.headers = headers;
    Response::from_parts(head, Body::new(Ending { body: Some(body) }))
}

/// A whole answer without a message. `trailers` are gRPC's.
pub fn refused(protocol: Protocol, trailers: &HeaderMap) -> Response {
    let mut response = Response::new(Body::new(http_body_util::Full::new(end(trailers))));
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

/// A body of gRPC's that ends as Connect's do.
struct Ending {
    body: Option<Body>,
}

impl HttpBody for Ending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let trailers = match ready!(Pin::new(body).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_trailers() {
                Ok(trailers) => trailers,
                Err(data) => return Poll::Ready(Some(Ok(data))),
            },
            Some(Err(status)) => frame::trailers(&status),
            None => HeaderMap::new(),
        };
        self.body = None;
        Poll::Ready(Some(Ok(Frame::data(end(&trailers)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }
}

/// What the last message says.
#[derive(Serialize)]
struct End {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ConnectError>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, Vec<String>>,
}

/// gRPC's trailers as a last message. Without a status among them, the answer broke
/// off.
fn end(trailers: &HeaderMap) -> Bytes {
    let status = Status::from_header_map(trailers);
    let status = status.unwrap_or_else(|| Status::internal("internal error"));
    let error = (status.code() != Code::Ok).then(|| error::from_status(&status));
    let mut metadata: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in trailers.iter().filter(|(name, _)| frame::is_metadata(name)) {
        // A value that is no text has no place in JSON.
        if let Ok(value) = value.to_str() {
            metadata.entry(name.to_string()).or_default().push(value.to_owned());
        }
    }
    let json = serde_json::to_vec(&End { error, metadata }).unwrap_or_default();
    // As large as a list of headers may be, and so far from what has no room.
    frame::pack(END, &json).unwrap_or_default()
}
