//! Pages and services for operators, probes and tools: readiness, metrics, the OpenAPI document,
//! gRPC health and reflection. None of them changes anything or needs a credential.

mod console;
pub mod health;
mod invite_page;
mod languages;
mod pages;
pub mod readiness;
pub mod reflection;
mod source;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::Full;
use tonic::body::Body;
use tower::Service;

pub use self::pages::Pages;
use self::readiness::Readiness;
use super::metrics::Metrics;
use super::middleware::BoxFuture;
use super::peer::Peer;
use super::rest::openapi;
use super::{Request, Response};
use crate::domain::Network;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

const ROOT: &str = "/";
const HEALTHZ: &str = "/healthz";
const READYZ: &str = "/readyz";
const METRICS: &str = "/metrics";
const OPENAPI: &str = "/openapi.json";

/// The page at `/`.
const WELCOME: &str = "\
Guestlist manages organizations, their members and their invites.

This address serves gRPC, gRPC-Web and Connect (JSON or protobuf), for example
POST /gitpod.v1.OrganizationService/CreateOrganization. gRPC reflection is on:
grpcurl lists and describes all services. The REST APIs of two other products
are under /v1/organizations and /v1/orgs.

/openapi.json  describes the REST APIs
/invite        opens an invite link
/console       shows organizations, members and invites to people
/healthz       200 while the process runs
/readyz        200 while the process accepts requests
";

/// The template of the page at `path`.
pub fn template(path: &str) -> Option<&'static str> {
    let own = [ROOT, HEALTHZ, READYZ, METRICS, OPENAPI];
    own.into_iter().chain(pages::paths()).find(|page| *page == path)
}

/// The peers that may read `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Every peer: the listener serves no calls.
    Anyone,
    /// This machine only, and not through a proxy on it.
    Loopback,
    /// No peer: metrics have a separate listener.
    NoOne,
}

/// Serves the pages.
#[derive(Clone)]
pub struct System {
    readiness: Readiness,
    metrics: Metrics,
    access: MetricsAccess,
    proxies: Arc<[Network]>,
    /// `None`: the listener serves no calls, so it has no pages that make them.
    pages: Option<Arc<Pages>>,
}

impl System {
    /// Serves `metrics` to the peers that `access` allows. A peer in `proxies` never counts as this
    /// machine, since it forwards requests of others.
    pub fn new(
        readiness: Readiness,
        metrics: Metrics,
        access: MetricsAccess,
        proxies: &[Network],
    ) -> Self {
        Self { readiness, metrics, access, proxies: proxies.into(), pages: None }
    }

    /// Serves the pages for people too.
    pub fn with_pages(self, pages: Pages) -> Self {
        Self { pages: Some(Arc::new(pages)), ..self }
    }

    fn respond(&self, request: &Request) -> Response {
        let Some(page) = template(request.uri().path()) else {
            return text(StatusCode::NOT_FOUND, "not found\n");
        };
        if page == METRICS && !self.may_read_metrics(request) {
            return text(StatusCode::NOT_FOUND, "not found\n");
        }
        match *request.method() {
            // The server leaves out the body of a response to HEAD.
            Method::GET | Method::HEAD => self.page(page, request.headers()),
            Method::OPTIONS => allow(StatusCode::NO_CONTENT),
            _ => allow(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    fn page(&self, page: &str, headers: &HeaderMap) -> Response {
        match page {
            HEALTHZ => text(StatusCode::OK, "ok\n"),
            READYZ if self.readiness.is_ready() => text(StatusCode::OK, "ready\n"),
            READYZ => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            METRICS => match self.metrics.encode() {
                Ok(metrics) => response_with(StatusCode::OK, OPEN_METRICS, metrics.into()),
                Err(error) => {
                    tracing::error!(
                        %error,
                        "encoding the metrics failed; the client gets status 500"
                    );
                    text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
                }
            },
            OPENAPI => match openapi::document() {
                Ok(document) => response_with(StatusCode::OK, JSON, document),
                Err(error) => {
                    tracing::error!(
                        %error,
                        "serializing the OpenAPI document failed; the client gets status 500"
                    );
                    text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
                }
            },
            ROOT => text(StatusCode::OK, WELCOME),
            page => {
                let found = self.pages.as_ref().and_then(|pages| pages.respond(page, headers));
                found.unwrap_or_else(|| text(StatusCode::NOT_FOUND, "not found\n"))
            }
        }
    }

    fn may_read_metrics(&self, request: &Request) -> bool {
        match self.access {
            MetricsAccess::Anyone => true,
            MetricsAccess::Loopback => {
                let peer = request.extensions().get::<Peer>().map(|peer| peer.address.ip());
                let is_local = peer.is_some_and(|peer| peer.to_canonical().is_loopback());
                let is_proxy =
                    peer.is_some_and(|peer| self.proxies.iter().any(|proxy| proxy.contains(peer)));
                is_local && !is_proxy && !was_forwarded(request.headers())
            }
            MetricsAccess::NoOne => false,
        }
    }
}

/// Headers that proxies, load balancers and content delivery networks add.
const FORWARDED: &[&str] = &[
    "forwarded",
    "via",
    "cdn-loop",
    "client-ip",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-request-start",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
];

/// Prefixes of the names of more such headers.
const FORWARDED_PREFIXES: &[&str] = &[
    "x-forwarded",
    "x-envoy-",
    "x-appengine-",
    "x-arr-",
    "x-azure-",
    "x-vercel-",
    "cf-",
    "cloudfront-",
    "fastly-",
    "fly-",
];

/// Whether a proxy has forwarded the request: then the address of the peer is not the client's.
fn was_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().map(header::HeaderName::as_str).any(|name| {
        FORWARDED.contains(&name)
            || FORWARDED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    })
}

impl Service<Request> for System {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BoxFuture {
        let response = self.respond(&request);
        Box::pin(async move { Ok(response) })
    }
}

fn text(status: StatusCode, text: &'static str) -> Response {
    response_with(status, TEXT, Bytes::from_static(text.as_bytes()))
}

fn response_with(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response {
    let mut response = Response::new(Body::new(Full::new(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn allow(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Brand, Language};
    use std::net::SocketAddr;

    fn status(system: &System, peer: &str, path: &str, headers: &[&'static str]) -> u16 {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = path.parse().unwrap();
        request.extensions_mut().insert(Peer::from(peer.parse::<SocketAddr>().unwrap()));
        for name in headers {
            request.headers_mut().insert(*name, HeaderValue::from_static("x"));
        }
        system.respond(&request).status().as_u16()
    }

    fn system(access: MetricsAccess) -> System {
        System::new(Readiness::new(), Metrics::new(), access, &[])
    }

    #[test]
    fn metrics_are_served_to_this_machine_but_not_through_a_proxy() {
        let local = system(MetricsAccess::Loopback);
        for peer in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(status(&local, peer, "/metrics", &[]), 200, "{peer}");
            for header in [
                "forwarded",
                "x-forwarded-for",
                "x-forwarded-proto",
                "x-real-ip",
                "via",
                "cf-connecting-ip",
                "true-client-ip",
                "x-client-ip",
                "x-original-forwarded-for",
                "x-envoy-external-address",
                "cdn-loop",
            ] {
                assert_eq!(status(&local, peer, "/metrics", &[header]), 404, "{header}");
            }
        }
        assert_eq!(status(&local, "10.0.0.1:1", "/metrics", &[]), 404);
        assert_eq!(status(&system(MetricsAccess::NoOne), "127.0.0.1:1", "/metrics", &[]), 404);
        assert_eq!(status(&system(MetricsAccess::Anyone), "10.0.0.1:1", "/metrics", &[]), 200);
    }

    #[test]
    fn metrics_are_not_served_to_a_trusted_proxy_on_this_machine() {
        let trusting = |proxies: &[&str]| {
            let proxies: Vec<Network> = proxies.iter().map(|text| text.parse().unwrap()).collect();
            System::new(Readiness::new(), Metrics::new(), MetricsAccess::Loopback, &proxies)
        };
        for (proxies, v4, v6) in [
            (&["127.0.0.1"][..], 404, 200),
            (&["127.0.0.0/8"], 404, 200),
            (&["::1"], 200, 404),
            (&["127.0.0.1", "::1"], 404, 404),
            (&["10.0.0.0/8"], 200, 200),
        ] {
            let system = trusting(proxies);
            for (peer, expected) in
                [("127.0.0.1:1", v4), ("[::ffff:127.0.0.1]:1", v4), ("[::1]:1", v6)]
            {
                assert_eq!(status(&system, peer, "/metrics", &[]), expected, "{proxies:?} {peer}");
                assert_eq!(status(&system, peer, "/healthz", &[]), 200);
            }
        }
    }

    #[test]
    fn pages_are_served_only_where_they_are_enabled() {
        for (console, expected) in [(true, 200), (false, 404)] {
            let pages = Pages::new(&Brand::built_in(), Language::En, console);
            let serving = system(MetricsAccess::NoOne).with_pages(pages);
            for path in pages::paths().filter(|path| *path != "/logo") {
                let expected = if console::has(path) { expected } else { 200 };
                assert_eq!(status(&serving, "10.0.0.1:1", path, &[]), expected, "{path}");
                let metrics = system(MetricsAccess::Anyone);
                assert_eq!(status(&metrics, "10.0.0.1:1", path, &[]), 404, "{path}");
            }
        }
    }

    #[test]
    fn readyz_follows_readiness() {
        let system = system(MetricsAccess::NoOne);
        let peer = "10.0.0.1:1";
        assert_eq!(status(&system, peer, "/healthz", &[]), 200);
        assert_eq!(status(&system, peer, "/readyz", &[]), 503);
        system.readiness.set_store(true);
        assert_eq!(status(&system, peer, "/readyz", &[]), 200);
        system.readiness.drain();
        assert_eq!(status(&system, peer, "/readyz", &[]), 503);
        assert_eq!(status(&system, peer, "/healthz", &[]), 200);
    }
}
