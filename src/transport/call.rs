//! A call as data: its protocol, its route and its outcome.
//!
//! `identify` finds out protocol and route once; every middleware and translator reads them here.

use std::sync::{Arc, OnceLock};

use connectrpc::CodecFormat;
use tonic::Code;

use super::Request;
use super::endpoint::{Endpoint, RestApi};
use super::methods::Method;
use crate::domain::{Caller, RequestId, TraceParent};

/// The protocol of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC over HTTP/2.
    Grpc(CodecFormat),
    /// gRPC-Web with a binary response.
    GrpcWeb(CodecFormat),
    /// gRPC-Web with a base64 response.
    GrpcWebText(CodecFormat),
    /// Connect unary (POST, GET), and any other HTTP request for a method.
    Connect,
    /// Connect streaming.
    ConnectStream(CodecFormat),
    /// REST by another product's contract.
    Rest(RestApi),
    /// Not a call of a method: pages, probes, unknown paths.
    Http,
}

/// The target of a request, as a template: logs and metrics never contain a path or a query.
#[derive(Debug, Clone)]
pub enum Route {
    /// A method of a service.
    Rpc(Arc<Method>),
    /// A path of another product's contract.
    Rest(&'static Endpoint),
    /// A page of `system`.
    System(&'static str),
    /// A known service without such a method.
    UnknownMethod,
    Unknown,
}

/// Protocol, route and outcome of a request; stored in its extensions.
#[derive(Debug)]
pub struct CallInfo {
    pub protocol: Protocol,
    pub route: Route,
    /// The request id, which some REST responses contain.
    pub request: RequestId,
    /// The trace and span that the client sent, if any.
    pub trace: Option<TraceParent>,
    pub outcome: CallOutcome,
}

/// Facts about a call that the middleware collects for the access log and the metrics. Only the
/// first value of each is kept.
#[derive(Debug, Default)]
pub struct CallOutcome {
    code: OnceLock<Code>,
    caller: OnceLock<Arc<Caller>>,
}

/// The maximum size of a message in bytes, if it is smaller than usual; stored in the extensions of
/// requests without a credential.
#[derive(Debug, Clone, Copy)]
pub struct MaxMessageBytes(pub usize);

impl Protocol {
    /// Its name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Grpc(_) => "grpc",
            Protocol::GrpcWeb(_) | Protocol::GrpcWebText(_) => "grpc-web",
            Protocol::Connect | Protocol::ConnectStream(_) => "connect",
            Protocol::Rest(api) => api.name(),
            Protocol::Http => "http",
        }
    }

    /// Whether an error has HTTP status 200 and the code in `grpc-status`.
    pub fn is_grpc(self) -> bool {
        matches!(self, Protocol::Grpc(_) | Protocol::GrpcWeb(_) | Protocol::GrpcWebText(_))
    }

    /// The content type of responses that consist of framed messages.
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
            Protocol::Connect | Protocol::Rest(_) | Protocol::Http => return None,
        })
    }
}

impl Route {
    /// The template for logs.
    pub fn template(&self) -> &str {
        match self {
            Route::Rpc(method) => method.path(),
            Route::Rest(endpoint) => endpoint.template(),
            Route::System(template) => template,
            Route::UnknownMethod | Route::Unknown => "(unknown)",
        }
    }

    /// The name in metrics: the template, for REST with the HTTP method.
    pub fn name(&self, method: &http::Method) -> Arc<str> {
        match self {
            Route::Rpc(method) => method.name(),
            Route::Rest(endpoint) => endpoint.name(method).into(),
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
            trace: None,
            outcome: CallOutcome::default(),
        };
        request.extensions().get().cloned().unwrap_or_else(|| Arc::new(unknown()))
    }
}

impl CallOutcome {
    pub fn set_caller(&self, caller: &Arc<Caller>) {
        self.caller.get_or_init(|| Arc::clone(caller));
    }

    pub fn caller(&self) -> Option<&Caller> {
        self.caller.get().map(Arc::as_ref)
    }

    pub fn set_code(&self, code: Code) {
        self.code.get_or_init(|| code);
    }

    pub fn code(&self) -> Option<Code> {
        self.code.get().copied()
    }
}

/// The method that this request calls.
pub fn method_of(request: &Request) -> Option<&Arc<Method>> {
    match &request.extensions().get::<Arc<CallInfo>>()?.route {
        Route::Rpc(method) => Some(method),
        _ => None,
    }
}

/// The maximum size in bytes of a message of this request; `max` is the usual one.
pub fn max_message_bytes(request: &Request, max: usize) -> usize {
    request.extensions().get().map_or(max, |MaxMessageBytes(smaller)| max.min(*smaller))
}
