//! The middleware in order, with the reason for each position.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Body as HttpBody;
use tonic::body::Body;
use tower::util::option_layer;
use tower::{Service, ServiceBuilder, service_fn};

use super::call::{CallInfo, Protocol, Route};
use super::identify::Identify;
use super::layers::admission::Admission;
use super::layers::authenticate::{Access, Authenticate};
use super::layers::client_network::ClientNetwork;
use super::layers::cors;
use super::layers::deadline::Deadline;
use super::layers::drain_request_body::DrainRequestBody;
use super::layers::map_tonic_status::MapTonicStatus;
use super::layers::observe::{Observe, RecordStatus};
use super::layers::panic::CatchPanic;
use super::layers::request_id::RequestId;
use super::layers::waiting::WaitingLimits;
use super::methods::Methods;
use super::metrics::Metrics;
use super::middleware::{BoxFuture, Handler, around};
use super::protocol::router::ProtocolRouter;
use super::rest::route_guard::RouteGuard;
use super::services::Services;
use super::system::readiness::Readiness;
use super::system::{MetricsAccess, Pages, System, health, reflection};
use super::{Request, Response};
use crate::config::{Cors, Events, Http};
use crate::error::{Error, Result};

/// Services that need no credential.
const PUBLIC_SERVICES: &[&str] = &[
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// The descriptors of the standard services.
const STANDARD: &[&[u8]] = &[
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// The types of error details; reflection serves them too.
const DETAIL_TYPES: &[u8] = tonic_types::pb::FILE_DESCRIPTOR_SET;

/// The parts of a stack.
pub struct Parts<'a, A> {
    /// Without health and reflection, which `build` adds.
    pub services: Services,
    /// The encoded descriptor sets of the services.
    pub descriptors: &'a [&'a [u8]],
    /// The routes of the REST contracts.
    pub contracts: axum::Router,
    pub authenticator: A,
    /// Methods that need no credential, as `/package.Service/Method`.
    pub anonymous_methods: Vec<&'static str>,
    pub metrics: Metrics,
    /// The peers that may read the metrics here.
    pub metrics_access: MetricsAccess,
    pub readiness: Readiness,
    /// The pages for people.
    pub pages: Pages,
    /// Methods whose calls may wait for events, as `/package.Service/Method`.
    pub waiting_methods: &'static [&'static str],
    pub http: &'a Http,
    pub events: &'a Events,
    pub cors: &'a Cors,
}

/// Builds the stack.
///
/// # Errors
/// If a CORS setting is not valid.
pub fn build<A: Authenticate>(parts: Parts<'_, A>) -> Result<Stack> {
    let descriptors = [parts.descriptors, STANDARD].concat();
    let methods = Methods::new(&descriptors)?;
    let cors = cors::layer(parts.cors)?;
    let access =
        Access { public_services: PUBLIC_SERVICES, anonymous_methods: parts.anonymous_methods };
    let own = methods.services().filter(|service| !PUBLIC_SERVICES.contains(service));
    let health = health::server(parts.readiness.clone(), own.map(str::to_owned).collect());
    let reflected = [descriptors.as_slice(), &[DETAIL_TYPES]].concat();
    let services = parts.services.with(bounded!(health, parts.http));
    let services = reflection::add(services, &reflected, parts.http).map_err(Error::internal)?;

    // After the translation: here every call is gRPC.
    let services = Arc::new(services);
    let rpc = ServiceBuilder::new()
        // Outermost: reads the final code of the call.
        .layer(around(RecordStatus))
        // Innermost: maps tonic's own status codes to ours.
        .layer(around(MapTonicStatus))
        .service(service_fn(move |request| services.call(request)));

    // The REST contracts, which need no translation.
    let contracts = ServiceBuilder::new()
        .layer(around(RouteGuard))
        .map_response(|response: axum::response::Response| response.map(Body::new))
        .service(parts.contracts);

    // The calls of methods, in any protocol.
    let calls = ServiceBuilder::new()
        // Outside of admission and of reading the body, so that the deadline covers a database
        // that hangs and a client that sends slowly.
        .layer(around(Deadline::new(parts.http.request_timeout)))
        // Before the translation, which reads bodies: admission reads the head only.
        .layer(around(Admission::new(
            parts.authenticator,
            access,
            &methods,
            parts.http,
            WaitingLimits::new(parts.waiting_methods, parts.events, parts.metrics.clone()),
            parts.metrics.clone(),
        )))
        .service(Split::new(
            |call| matches!(call.protocol, Protocol::Rest(_)),
            contracts,
            ProtocolRouter::new(rpc, parts.http.max_request_bytes),
        ));

    // Every request. Probes skip admission and deadline, so that they work under any load.
    let proxies = &parts.http.trusted_proxies;
    let system = System::new(parts.readiness, parts.metrics.clone(), parts.metrics_access, proxies)
        .with_pages(parts.pages);
    let identify = Arc::new(Identify::new(methods));
    let client_network = Arc::new(ClientNetwork::new(parts.http.trusted_proxies.clone()));
    let all = ServiceBuilder::new()
        // Outermost: every log line of a request has its id.
        .layer(around(RequestId))
        // Before any middleware that responds: a response is in the protocol of the client.
        .map_request(move |request| marked(request, |request| identify.mark(request)))
        // Before any middleware with limits for each network.
        .map_request(move |request| marked(request, |request| client_network.mark(request)))
        // Outside of any middleware that rejects, so that every response is counted.
        .layer(around(Observe::new(parts.metrics)))
        // Outside of any middleware that rejects, so that web pages can read errors. Inside of
        // `Observe`, so that preflights are counted.
        .layer(option_layer(cors))
        // Outside of any middleware and handler that may panic.
        .layer(around(CatchPanic))
        // Next to the handlers: it must detect how much of the body they have read.
        .layer(around(DrainRequestBody::new()))
        .service(Split::new(|call| matches!(call.route, Route::System(_)), system, calls));

    Ok(Stack::new(all))
}

/// The stack of a listener that serves metrics and probes only.
pub fn build_metrics_only(readiness: Readiness, metrics: Metrics) -> Stack {
    let pages = System::new(readiness, metrics, MetricsAccess::Anyone, &[]);
    Stack::new(pages)
}

/// Applies `mark` to a request, in the form that `map_request` needs.
fn marked(mut request: Request, mark: impl FnOnce(&mut Request)) -> Request {
    mark(&mut request);
    request
}

/// Sends a request to one of two services. Clones share them.
struct Split<A, B>(Arc<Sides<A, B>>);

struct Sides<A, B> {
    takes_first: fn(&CallInfo) -> bool,
    first: A,
    second: B,
}

impl<A, B> Split<A, B> {
    fn new(takes_first: fn(&CallInfo) -> bool, first: A, second: B) -> Self {
        Self(Arc::new(Sides { takes_first, first, second }))
    }
}

impl<A, B> Clone for Split<A, B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A, B> Service<Request> for Split<A, B>
where
    A: Handler<Future = BoxFuture>,
    B: Handler<Future = BoxFuture>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BoxFuture {
        let sides = &self.0;
        if (sides.takes_first)(&CallInfo::of(&request)) {
            sides.first.clone().call(request)
        } else {
            sides.second.clone().call(request)
        }
    }
}

/// All middleware and handlers as one service. Cheap to clone; accepts any body type.
#[derive(Clone)]
pub struct Stack(Arc<dyn Fn(Request) -> BoxFuture + Send + Sync>);

impl Stack {
    fn new(service: impl Handler<Future = BoxFuture>) -> Self {
        Self(Arc::new(move |request| service.clone().call(request)))
    }
}

impl<B> Service<http::Request<B>> for Stack
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> BoxFuture {
        (self.0)(request.map(Body::new))
    }
}

#[cfg(test)]
pub(in crate::transport) mod tests;
