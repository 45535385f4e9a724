//! The way of a request, as one ordered list of layers with the reason for each
//! place.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Body as HttpBody;
use tonic::body::Body;
use tower::util::option_layer;
use tower::{Service, ServiceBuilder};

use super::layers::admission::Admission;
use super::layers::authenticate::{Access, Authenticate};
use super::layers::client_network::ClientNetwork;
use super::layers::deadline::Deadline;
use super::layers::drain::Drain;
use super::layers::identify::Identify;
use super::layers::metrics::Metrics;
use super::layers::observe::{Observe, Record};
use super::layers::panic::CatchPanic;
use super::layers::refine::Refine;
use super::layers::request_id::RequestId;
use super::layers::single::Single;
use super::layers::{BoxFuture, Handler, around};
use super::protocol::detect::Detect;
use super::protocol::methods::Methods;
use super::protocol::{CallInfo, Protocol, Route, cors};
use super::rest::door::Door;
use super::services::Services;
use super::system::readiness::Readiness;
use super::system::{MetricsAccess, System, health, reflection};
use super::{Request, Response};
use crate::config::{Cors, Http};
use crate::error::{Error, Result};

/// Services that answer without looking at credentials.
const PUBLIC_SERVICES: &[&str] = &[
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// The standard services, which are served beside all others.
const STANDARD: &[&[u8]] = &[
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// What reflection tells beside that: the types that errors carry.
const DETAIL_TYPES: &[u8] = tonic_types::pb::FILE_DESCRIPTOR_SET;

/// What the door is built of.
pub struct Parts<'a, A> {
    /// The services; health and reflection are added here.
    pub services: Services,
    /// Their encoded descriptor sets.
    pub descriptors: &'a [&'a [u8]],
    /// The routes of other products' contracts.
    pub contracts: axum::Router,
    /// Who checks credentials.
    pub authenticator: A,
    /// Methods open to callers without a credential, as `/package.Service/Method`.
    pub anonymous_methods: &'static [&'static str],
    /// Where to count.
    pub metrics: Metrics,
    /// Who may read the counters here.
    pub metrics_access: MetricsAccess,
    /// What probes are told.
    pub readiness: Readiness,
    /// The bounds.
    pub http: &'a Http,
    /// Which web pages may call.
    pub cors: &'a Cors,
}

/// Puts the door together. Fails on a wrong CORS origin.
pub fn build<A: Authenticate>(parts: Parts<'_, A>) -> Result<Stack> {
    let descriptors = [parts.descriptors, STANDARD].concat();
    let methods = Methods::new(&descriptors).map_err(Error::internal)?;
    let cors = cors::layer(parts.cors)?;
    let access =
        Access { public_services: PUBLIC_SERVICES, anonymous_methods: parts.anonymous_methods };
    let health = health::server(parts.readiness.clone(), services(parts.descriptors)?);
    let told = [descriptors.as_slice(), &[DETAIL_TYPES]].concat();
    let services = parts.services.with(bounded!(health, parts.http));
    let services = reflection::add(services, &told, parts.http).map_err(Error::internal)?;

    // Behind the translation every call is a tonic call.
    let methods_behind = ServiceBuilder::new()
        // First, so that it reads the code of whatever answers behind it.
        .layer(around(Record))
        // Next to tonic, whose words it puts into ours.
        .layer(around(Refine))
        // As tonic reads a request, so that nothing is counted that it does not see.
        .service(Single::new(services));

    // Other products' contracts need no translation.
    let contracts = ServiceBuilder::new()
        .layer(around(Door))
        .map_response(|response: axum::response::Response| response.map(Body::new))
        .service(parts.contracts);

    // The calls of methods, in whatever protocol.
    let calls = ServiceBuilder::new()
        // Around the look at the credential and the body's arrival: a store that hangs and
        // slow senders have the same time.
        .layer(around(Deadline::new(parts.http.request_timeout)))
        // Before the translation, which reads bodies: it decides from the head alone.
        .layer(around(Admission::new(parts.authenticator, access, &methods, parts.http)))
        .service(Split::new(
            |call| matches!(call.protocol, Protocol::Vendor(_)),
            contracts,
            Detect::new(methods_behind, parts.http.max_request_bytes),
        ));

    // Every request. Probes pass admission and deadline by, and answer under any load.
    let proxies = &parts.http.trusted_proxies;
    let system = System::new(parts.readiness, parts.metrics.clone(), parts.metrics_access, proxies);
    let identify = Arc::new(Identify::new(methods));
    let client_network = Arc::new(ClientNetwork::new(parts.http.trusted_proxies.clone()));
    let all = ServiceBuilder::new()
        // Outermost: all that is said about a request names it.
        .layer(around(RequestId))
        // Before all that answers: an answer is written in the caller's protocol.
        .map_request(move |request| marked(request, |request| identify.mark(request)))
        // Before all that counts by network.
        .map_request(move |request| marked(request, |request| client_network.mark(request)))
        // Outside of all that may refuse, so that every answer is counted.
        .layer(around(Observe::new(parts.metrics)))
        // Outside of refusals, so that a web page can read them; inside the log.
        .layer(option_layer(cors))
        // Around everything that runs code of ours or of handlers.
        .layer(around(CatchPanic))
        // Next to the doors: it sees the body as handlers leave it.
        .layer(around(Drain::new()))
        .service(Split::new(|call| matches!(call.route, Route::System(_)), system, calls));

    Ok(Stack::new(all))
}

/// Pages and probes for [`Parts::metrics_access`]'s own listener.
pub fn build_metrics_only(readiness: Readiness, metrics: Metrics) -> Stack {
    let pages = System::new(readiness, metrics, MetricsAccess::Everybody, &[]);
    Stack::new(pages)
}

/// The request, with what `mark` writes down in it.
fn marked(mut request: Request, mark: impl FnOnce(&mut Request)) -> Request {
    mark(&mut request);
    request
}

/// The names of the services in these descriptor sets.
fn services(descriptors: &[&[u8]]) -> Result<Vec<String>> {
    let mut pool = prost_reflect::DescriptorPool::new();
    for set in descriptors {
        pool.decode_file_descriptor_set(*set).map_err(Error::internal)?;
    }
    Ok(pool.services().map(|service| service.full_name().to_owned()).collect())
}

/// Some requests to one side, all others to the other. Clones share.
struct Split<A, B>(Arc<Sides<A, B>>);

struct Sides<A, B> {
    by: fn(&CallInfo) -> bool,
    these: A,
    others: B,
}

impl<A, B> Split<A, B> {
    fn new(by: fn(&CallInfo) -> bool, these: A, others: B) -> Self {
        Self(Arc::new(Sides { by, these, others }))
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
        if (sides.by)(&CallInfo::of(&request)) {
            sides.these.clone().call(request)
        } else {
            sides.others.clone().call(request)
        }
    }
}

/// The whole door as one service. Cheap to clone; takes any body.
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
