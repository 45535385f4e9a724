//! What kinds of call there are, and how each is refused in its own words.
//!
//! `identify` (a layer) finds out once; everything behind it answers through
//! [`CallInfo::refuse`], so that a refusal looks like every other answer of that
//! protocol.

pub mod connect;
pub mod cors;
pub mod detect;
pub mod frame;
pub mod json;
pub mod methods;
mod paging;
mod transcode;

use std::sync::Arc;

use connectrpc::CodecFormat;
use http::{HeaderValue, header};
use tonic::Status;

use self::methods::Method;
use super::layers::observe::Observed;
use super::rest::openapi::Endpoint;
use super::rest::{Refusal, Vendor};
use super::status::to_status;
use super::{Request, Response};
use crate::domain::RequestId;
use crate::error::Error;

const NO_SUCH_METHOD: &str = "there is no such method";

/// The protocol an answer has to be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC over HTTP/2.
    Grpc(CodecFormat),
    /// gRPC-Web with a binary answer.
    GrpcWeb(CodecFormat),
    /// gRPC-Web with a base64 answer.
    GrpcWebText(CodecFormat),
    /// Connect unary (POST, GET) and whatever else asks for a method by HTTP.
    Connect,
    /// Connect streaming.
    ConnectStream(CodecFormat),
    /// REST by another product's contract.
    Vendor(Vendor),
    /// Not a call of a method: pages, probes, unknown paths.
    Http,
}

/// What is asked for, by template: a path or query never gets further than this.
#[derive(Debug, Clone)]
pub enum Route {
    /// A method of a service.
    Rpc(Arc<Method>),
    /// A path of another product's contract.
    Vendor(&'static Endpoint),
    /// One of `system`'s pages.
    System(&'static str),
    /// A method that a service of ours does not have.
    UnknownMethod,
    /// Nothing that we have.
    Unknown,
}

/// How a request came, what it asks for, and what is found out on the way; in the
/// extensions of every request.
#[derive(Debug)]
pub struct CallInfo {
    /// The protocol of the answer.
    pub protocol: Protocol,
    /// What is asked for.
    pub route: Route,
    /// The request's name, which some answers hold.
    pub request: RequestId,
    /// For the access log and the metrics.
    pub observed: Observed,
}

impl Protocol {
    /// Its name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Grpc(_) => "grpc",
            Protocol::GrpcWeb(_) | Protocol::GrpcWebText(_) => "grpc-web",
            Protocol::Connect | Protocol::ConnectStream(_) => "connect",
            Protocol::Vendor(vendor) => vendor.name(),
            Protocol::Http => "http",
        }
    }

    /// Whether failures ride on HTTP 200.
    pub fn is_grpc(self) -> bool {
        matches!(self, Protocol::Grpc(_) | Protocol::GrpcWeb(_) | Protocol::GrpcWebText(_))
    }

    /// The content type of its answers, where they are framed messages.
    pub fn content_type(self) -> Option<&'static str> {
        use CodecFormat::Json;

        Some(match self {
            Protocol::Grpc(Json) => "application/grpc+json",
            Protocol::Grpc(_) => "application/grpc",
            Protocol::GrpcWeb(Json) => "application/grpc-web+json",
            Protocol::GrpcWeb(_) => "application/grpc-web+proto",
            Protocol::GrpcWebText(Json) => "application/grpc-web-text+json",
            Protocol::GrpcWebText(_) => "application/grpc-web-text+proto",
            Protocol::ConnectStream(codec) => codec.streaming_content_type(),
            Protocol::Connect | Protocol::Vendor(_) | Protocol::Http => return None,
        })
    }
}

/// The most bytes of a message where that is less than for others; in the extensions of
/// requests without a credential.
#[derive(Debug, Clone, Copy)]
pub struct MessageBound(pub usize);

/// The most bytes that a message of this request may have, where others may have `max`.
pub fn message_bound(request: &Request, max: usize) -> usize {
    request.extensions().get().map_or(max, |MessageBound(bound)| max.min(*bound))
}

/// The method that this request calls, if it calls one.
pub fn method_of(request: &Request) -> Option<&Arc<Method>> {
    match &request.extensions().get::<Arc<CallInfo>>()?.route {
        Route::Rpc(method) => Some(method),
        _ => None,
    }
}

impl Route {
    /// What logs and metrics show.
    pub fn template(&self) -> &str {
        match self {
            Route::Rpc(method) => method.path(),
            Route::Vendor(endpoint) => endpoint.template(),
            Route::System(template) => template,
            Route::UnknownMethod | Route::Unknown => "(unknown)",
        }
    }

    /// What metrics show: with the HTTP method where that tells calls apart.
    pub fn name(&self, method: &http::Method) -> Arc<str> {
        match self {
            Route::Rpc(method) => method.name(),
            Route::Vendor(endpoint) => endpoint.name(method).into(),
            route => route.template().into(),
        }
    }
}

impl CallInfo {
    /// The call that `identify` found in this request.
    pub fn of(request: &Request) -> Arc<Self> {
        let unknown = || Self {
            protocol: Protocol::Http,
            route: Route::Unknown,
            request: RequestId::default(),
            observed: Observed::default(),
        };
        request.extensions().get().cloned().unwrap_or_else(|| Arc::new(unknown()))
    }

    /// Writes an error as a whole answer.
    pub fn refuse(&self, error: Error) -> Response {
        self.answer(to_status(error))
    }

    /// Writes a status as a whole answer.
    pub fn answer(&self, status: Status) -> Response {
        let code = status.code();
        let mut response = match self.protocol {
            // gRPC-Web too takes a status in the headers of an answer without a body.
            Protocol::Grpc(_) | Protocol::GrpcWeb(_) | Protocol::GrpcWebText(_) => {
                self.in_its_type(status.into_http())
            }
            Protocol::Vendor(vendor) => vendor.refuse(&Refusal::from(&status), &self.request),
            protocol @ (Protocol::Connect | Protocol::ConnectStream(_) | Protocol::Http) => {
                connect::error::answer(protocol, &status)
            }
        };
        response.extensions_mut().insert(code);
        response
    }

    /// An answer of the tonic side, with the content type that the caller knows.
    pub fn in_its_type(&self, mut response: Response) -> Response {
        if let Some(content_type) = self.protocol.content_type() {
            let content_type = HeaderValue::from_static(content_type);
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        }
        response
    }
}
