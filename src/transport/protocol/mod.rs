//! What kinds of call there are, and how each is refused in its own words.
//!
//! `identify` (a layer) finds out once; everything behind it answers through
//! [`Call::refuse`], so that a refusal looks like every other answer of that
//! protocol.

pub mod connect;
pub mod cors;
pub mod detect;
pub mod methods;

use std::sync::Arc;

use connectrpc::CodecFormat;
use http::{HeaderValue, header};
use tonic::Status;
use tonic::body::Body;

use self::methods::Method;
use super::status::to_status;
use super::vendor::openapi::Endpoint;
use super::vendor::{Refusal, Vendor};
use super::{Request, Response};
use crate::domain::RequestId;
use crate::error::Error;

/// The protocol an answer has to be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web with a binary answer.
    GrpcWeb,
    /// gRPC-Web with a base64 answer.
    GrpcWebText,
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

/// How a request came and what it asks for; in the extensions of every request.
#[derive(Debug, Clone)]
pub struct Call {
    /// The protocol of the answer.
    pub protocol: Protocol,
    /// What is asked for.
    pub route: Route,
    /// The request's name, which some answers hold.
    pub request: RequestId,
}

impl Protocol {
    /// Its name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Grpc => "grpc",
            Protocol::GrpcWeb | Protocol::GrpcWebText => "grpc-web",
            Protocol::Connect | Protocol::ConnectStream(_) => "connect",
            Protocol::Vendor(vendor) => vendor.name(),
            Protocol::Http => "http",
        }
    }

    /// Whether failures ride on HTTP 200.
    pub fn is_grpc(self) -> bool {
        matches!(self, Protocol::Grpc | Protocol::GrpcWeb | Protocol::GrpcWebText)
    }
}

/// gRPC-Web takes a status in the headers of an answer without a body.
fn with_content_type(status: Status, content_type: &'static str) -> Response {
    let mut response = status.into_http::<Body>();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
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
    pub fn name(&self, method: &http::Method) -> String {
        match self {
            Route::Vendor(endpoint) => endpoint.name(method),
            route => route.template().to_owned(),
        }
    }
}

impl Call {
    /// The call that `identify` found in this request.
    pub fn of(request: &Request) -> Self {
        let unknown = || Self {
            protocol: Protocol::Http,
            route: Route::Unknown,
            request: RequestId(String::new()),
        };
        request.extensions().get::<Self>().cloned().unwrap_or_else(unknown)
    }

    /// Writes an error as a whole answer.
    pub fn refuse(&self, error: Error) -> Response {
        self.answer(to_status(error))
    }

    /// Writes a status as a whole answer.
    pub fn answer(&self, status: Status) -> Response {
        let code = status.code();
        let mut response = match self.protocol {
            Protocol::Grpc => status.into_http(),
            Protocol::GrpcWeb => with_content_type(status, "application/grpc-web+proto"),
            Protocol::GrpcWebText => with_content_type(status, "application/grpc-web-text+proto"),
            Protocol::Vendor(vendor) => vendor.refuse(&Refusal::from(&status), &self.request),
            protocol @ (Protocol::Connect | Protocol::ConnectStream(_) | Protocol::Http) => {
                connect::error::answer(protocol, &status)
            }
        };
        response.extensions_mut().insert(code);
        response
    }
}
