//! Sends each call to its translator, and refuses what is no call of a method.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use connectrpc::{CodecFormat, ErrorCode};
use http::{HeaderValue, Method, StatusCode, Version, header};
use tonic::Status;
use tonic::body::Body;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service, ServiceExt};

use super::connect::{Connect, error};
use super::methods as rpc;
use super::transcode::Transcode;
use super::{CallInfo, NO_SUCH_METHOD, Protocol, Route};
use crate::transport::layers::{BoxFuture, Handler};
use crate::transport::{Request, Response};

const NOT_ALLOWED: &str = "this method cannot be called so; see the allow header";

/// The translators in front of one tonic service. Clones share them: a call takes
/// what it needs.
pub struct Detect<S>(Arc<Doors<S>>);

impl<S> Clone for Detect<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Doors<S> {
    grpc: S,
    grpc_json: Transcode<S>,
    grpc_web: GrpcWebService<S>,
    grpc_web_json: GrpcWebService<Transcode<S>>,
    connect: Connect<S>,
}

/// Who translates a call.
enum Door {
    Grpc(CodecFormat),
    GrpcWeb(CodecFormat),
    Connect,
}

impl<S: Handler> Detect<S> {
    /// Puts every protocol in front of `rpc`, for calls that [`refuse`] does not answer.
    /// `max_request_bytes` bounds a Connect message, before and after decompression.
    pub fn new(rpc: S, max_request_bytes: usize) -> Self {
        let json = Transcode::new(rpc.clone(), max_request_bytes);
        Self(Arc::new(Doors {
            grpc_web: GrpcWebLayer::new().layer(rpc.clone()),
            grpc_web_json: GrpcWebLayer::new().layer(json.clone()),
            grpc_json: json,
            connect: Connect::new(rpc.clone(), max_request_bytes),
            grpc: rpc,
        }))
    }
}

impl<S: Handler<Future = BoxFuture>> Service<Request> for Detect<S> {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BoxFuture {
        let call = CallInfo::of(&request);
        match door(call.protocol) {
            Door::Grpc(CodecFormat::Json) => {
                let answer = self.0.grpc_json.clone().oneshot(request);
                Box::pin(async move { Ok(call.in_its_type(answer.await?)) })
            }
            Door::Grpc(_) => self.0.grpc.clone().call(request),
            Door::GrpcWeb(CodecFormat::Json) => {
                let answer = self.0.grpc_web_json.clone().oneshot(request);
                Box::pin(async move { Ok(call.in_its_type(answer.await?)) })
            }
            Door::GrpcWeb(_) => Box::pin(self.0.grpc_web.clone().oneshot(request)),
            Door::Connect => self.0.connect.run(call, request),
        }
    }
}

fn door(protocol: Protocol) -> Door {
    match protocol {
        Protocol::Grpc(codec) => Door::Grpc(codec),
        Protocol::GrpcWeb(codec) | Protocol::GrpcWebText(codec) => Door::GrpcWeb(codec),
        Protocol::Connect | Protocol::ConnectStream(_) | Protocol::Vendor(_) | Protocol::Http => {
            Door::Connect
        }
    }
}

/// The answer to a request whose head is no call of a method: it breaks its protocol's
/// rules, or there is no such method. Nobody needs a credential to be told.
pub fn refuse(request: &Request, call: &CallInfo) -> Option<Response> {
    match door(call.protocol) {
        Door::Grpc(_) | Door::GrpcWeb(_) => refuse_grpc(request, call),
        Door::Connect => refuse_connect(request, call),
    }
}

/// What breaks gRPC's rules: POST, HTTP/2 unless it is gRPC-Web, protobuf.
fn refuse_grpc(request: &Request, call: &CallInfo) -> Option<Response> {
    let is_web = !matches!(call.protocol, Protocol::Grpc(_));
    if !is_web && request.version() < Version::HTTP_2 {
        let message = "gRPC needs HTTP/2; over HTTP/1.1 use gRPC-Web or Connect";
        let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
        return Some(error::http(status, ErrorCode::Unknown, message));
    }
    if request.method() != Method::POST {
        let mut response = error::plain(StatusCode::METHOD_NOT_ALLOWED, NOT_ALLOWED);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return Some(response);
    }
    if !is_canonical(request) {
        let message = "only messages in protobuf or JSON: +proto or +json";
        return Some(call.answer(Status::unimplemented(message)));
    }
    if !matches!(call.route, Route::Rpc(_)) {
        return Some(call.answer(Status::unimplemented(NO_SUCH_METHOD)));
    }
    None
}

/// What breaks Connect's rules: POST with a message, or GET where that changes
/// nothing. A plain OPTIONS is answered here too.
fn refuse_connect(request: &Request, call: &CallInfo) -> Option<Response> {
    let method = match &call.route {
        Route::Rpc(method) => method,
        Route::UnknownMethod => {
            return Some(call.answer(Status::unimplemented(NO_SUCH_METHOD)));
        }
        // The contracts' paths have a door of their own.
        Route::Vendor(_) | Route::System(_) | Route::Unknown => {
            let message = "there is no such service or page";
            return Some(error::http(StatusCode::NOT_FOUND, ErrorCode::Unimplemented, message));
        }
    };
    let allow = HeaderValue::from_static(if method.is_safe() { "GET, POST" } else { "POST" });
    match *request.method() {
        Method::POST if is_canonical(request) && is_of_kind(method, call.protocol) => None,
        Method::POST => Some(unsupported_media_type(method)),
        Method::GET if method.is_safe() => None,
        Method::OPTIONS => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().insert(header::ALLOW, allow);
            Some(response)
        }
        _ => Some(not_allowed(allow)),
    }
}

/// Connect has other content types for streams.
fn is_of_kind(method: &rpc::Method, protocol: Protocol) -> bool {
    method.is_unary() != matches!(protocol, Protocol::ConnectStream(_))
}

/// Whether the content type is one of those `identify` wrote down itself.
fn is_canonical(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    matches!(
        content_type,
        Some(
            b"application/grpc"
                | b"application/grpc-web+proto"
                | b"application/grpc-web-text+proto"
                | b"application/proto"
                | b"application/json"
                | b"application/connect+proto"
                | b"application/connect+json"
        )
    )
}

fn not_allowed(allow: HeaderValue) -> Response {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut response = error::http(status, ErrorCode::Unknown, NOT_ALLOWED);
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

/// In plain text: whose call it is is not known.
fn unsupported_media_type(method: &rpc::Method) -> Response {
    const GRPC: &str = "application/grpc, application/grpc+json, application/grpc-web, \
        application/grpc-web+json, application/grpc-web-text";
    let (message, connect) = if method.is_unary() {
        ("send application/json or application/proto", "application/json, application/proto")
    } else {
        (
            "send application/connect+json or application/connect+proto",
            "application/connect+json, application/connect+proto",
        )
    };
    let mut response = error::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    for accepted in [connect, GRPC] {
        response.headers_mut().append("accept-post", HeaderValue::from_static(accepted));
    }
    response
}
