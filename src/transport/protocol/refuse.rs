//! Writes errors in gRPC, gRPC-Web and Connect, and rejects requests that break their rules.

use connectrpc::ErrorCode;
use http::{HeaderValue, Method as HttpMethod, StatusCode, Version, header};
use tonic::Status;
use tonic::body::Body;

use super::connect::{error, stream};
use super::{NO_SUCH_METHOD, trailers};
use crate::transport::call::{CallInfo, Protocol, Route};
use crate::transport::methods::Method;
use crate::transport::{Request, Response};

const NOT_ALLOWED: &str = "this method cannot be called so; see the allow header";

/// The response with this status and no RPC message. Protocols other than gRPC and gRPC-Web get
/// Connect's errors.
pub fn with_status(protocol: Protocol, status: &Status) -> Response {
    let mut response = match protocol {
        // Like gRPC, gRPC-Web accepts a status in the headers of a response without a body.
        protocol if protocol.is_grpc() => with_content_type(protocol, status.clone().into_http()),
        Protocol::ConnectStream(_) => stream::end_response(protocol, &trailers(status)),
        _ => error::response(status),
    };
    response.extensions_mut().insert(status.code());
    response
}

/// A response from tonic, with the content type of the protocol.
pub fn with_content_type(protocol: Protocol, mut response: Response) -> Response {
    if let Some(content_type) = protocol.content_type() {
        let content_type = HeaderValue::from_static(content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    response
}

/// The response to a request whose head breaks the rules of its protocol, or whose method does
/// not exist.
pub fn reject_head(request: &Request, call: &CallInfo) -> Option<Response> {
    match call.protocol.is_grpc() {
        true => reject_grpc_head(request, call),
        false => reject_connect_head(request, call),
    }
}

fn no_such_method(protocol: Protocol) -> Response {
    with_status(protocol, &Status::unimplemented(NO_SUCH_METHOD))
}

/// gRPC's rules: POST, HTTP/2 (gRPC-Web accepts any version), protobuf or JSON.
fn reject_grpc_head(request: &Request, call: &CallInfo) -> Option<Response> {
    let is_web = !matches!(call.protocol, Protocol::Grpc(_));
    if !is_web && request.version() < Version::HTTP_2 {
        let message = "gRPC needs HTTP/2; over HTTP/1.1 use gRPC-Web or Connect";
        let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
        return Some(error::http_response(status, ErrorCode::Unknown, message));
    }
    if request.method() != HttpMethod::POST {
        let mut response = error::plain_response(StatusCode::METHOD_NOT_ALLOWED, NOT_ALLOWED);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return Some(response);
    }
    if !is_canonical(request) {
        let message = "only messages in protobuf or JSON: +proto or +json";
        return Some(with_status(call.protocol, &Status::unimplemented(message)));
    }
    if !matches!(call.route, Route::Rpc(_)) {
        return Some(no_such_method(call.protocol));
    }
    None
}

/// Connect's rules: POST, or GET for a method without side effects. OPTIONS gets its response
/// here too.
fn reject_connect_head(request: &Request, call: &CallInfo) -> Option<Response> {
    let method = match &call.route {
        Route::Rpc(method) => method,
        Route::UnknownMethod => {
            return Some(no_such_method(call.protocol));
        }
        // `rest` rejects the paths of contracts.
        Route::Rest(_) | Route::System(_) | Route::Unknown => {
            let message = "there is no such service or page";
            return Some(error::http_response(
                StatusCode::NOT_FOUND,
                ErrorCode::Unimplemented,
                message,
            ));
        }
    };
    let allow = HeaderValue::from_static(if method.is_safe() { "GET, POST" } else { "POST" });
    match *request.method() {
        HttpMethod::POST if is_canonical(request) && is_of_kind(method, call.protocol) => None,
        HttpMethod::POST => Some(unsupported_media_type(method)),
        HttpMethod::GET if method.is_safe() => None,
        HttpMethod::OPTIONS => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().insert(header::ALLOW, allow);
            Some(response)
        }
        _ => Some(not_allowed(allow)),
    }
}

/// Connect has separate content types for streams.
fn is_of_kind(method: &Method, protocol: Protocol) -> bool {
    method.is_unary() != matches!(protocol, Protocol::ConnectStream(_))
}

/// Whether the content type is one of the forms that `identify` writes.
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
    let mut response = error::http_response(status, ErrorCode::Unknown, NOT_ALLOWED);
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

/// Plain text, since the protocol of the client is not known.
fn unsupported_media_type(method: &Method) -> Response {
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
    let mut response = error::plain_response(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    for accepted in [connect, GRPC] {
        response.headers_mut().append("accept-post", HeaderValue::from_static(accepted));
    }
    response
}
