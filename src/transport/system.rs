//! What operators, probes and tools ask for: pages, readiness, metrics, the
//! description of the REST contracts, gRPC health and reflection. None of it
//! changes anything or needs a credential.

pub mod health;
mod invite_page;
pub mod readiness;
pub mod reflection;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::Full;
use tonic::body::Body;
use tower::Service;

use self::readiness::Readiness;
use super::layers::BoxFuture;
use super::layers::metrics::Metrics;
use super::rest::openapi;
use super::server::Peer;
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
Guestlist: organizations, their members and the invites that bring people in.

This address speaks gRPC, gRPC-Web and Connect (JSON or protobuf), for example
POST /gitpod.v1.OrganizationService/CreateOrganization. Reflection is on:
grpcurl lists and describes everything there is. REST by two other products'
contracts is under /v1/organizations and /v1/orgs.

/openapi.json  describes those
/invite        where a link in a mail leads
/healthz       the process lives
/readyz        it takes requests
";

/// The template of the page at `path`, if there is one.
pub fn template(path: &str) -> Option<&'static str> {
    let pages = [ROOT, HEALTHZ, READYZ, METRICS, OPENAPI];
    pages.into_iter().chain(invite_page::PATHS).find(|page| *page == path)
}

/// Who may read `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Whoever reaches the listener, which serves nothing else.
    Everybody,
    /// This machine only, and nothing that a proxy on it passed on.
    Loopback,
    /// Nobody: they have a listener of their own.
    Nobody,
}

/// The pages.
#[derive(Clone)]
pub struct System {
    readiness: Readiness,
    metrics: Metrics,
    access: MetricsAccess,
    proxies: Arc<[Network]>,
}

impl System {
    /// Serves `metrics` to the peers that `access` allows; `proxies` are trusted to name
    /// their clients, and so are never clients themselves.
    pub fn new(
        readiness: Readiness,
        metrics: Metrics,
        access: MetricsAccess,
        proxies: &[Network],
    ) -> Self {
        Self { readiness, metrics, access, proxies: proxies.into() }
    }

    fn answer(&self, request: &Request) -> Response {
        let Some(page) = template(request.uri().path()) else {
            return text(StatusCode::NOT_FOUND, "not found\n");
        };
        // The listener for metrics has no calls that the page could make.
        let is_for_people = invite_page::PATHS.contains(&page);
        let hidden = is_for_people && self.access == MetricsAccess::Everybody;
        if hidden || page == METRICS && !self.may_read_metrics(request) {
            return text(StatusCode::NOT_FOUND, "not found\n");
        }
        match *request.method() {
            // hyper leaves the body of an answer to HEAD out itself.
            Method::GET | Method::HEAD => self.page(page),
            Method::OPTIONS => allow(StatusCode::NO_CONTENT),
            _ => allow(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    fn page(&self, page: &str) -> Response {
        match page {
            HEALTHZ => text(StatusCode::OK, "ok\n"),
            READYZ if self.readiness.is_ready() => text(StatusCode::OK, "ready\n"),
            READYZ => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            METRICS => match self.metrics.encode() {
                Ok(metrics) => whole(StatusCode::OK, OPEN_METRICS, metrics.into()),
                Err(error) => {
                    tracing::error!(%error, "metrics cannot be written");
                    text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
                }
            },
            OPENAPI => match openapi::document() {
                Ok(document) => whole(StatusCode::OK, JSON, document),
                Err(error) => {
                    tracing::error!(%error, "the OpenAPI document cannot be written");
                    text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
                }
            },
            ROOT => text(StatusCode::OK, WELCOME),
            page => invite_page::answer(page),
        }
    }

    fn may_read_metrics(&self, request: &Request) -> bool {
        match self.access {
            MetricsAccess::Everybody => true,
            MetricsAccess::Loopback => {
                let peer = request.extensions().get::<Peer>().map(|peer| peer.address.ip());
                let is_near = peer.is_some_and(|peer| peer.to_canonical().is_loopback());
                let is_proxy =
                    peer.is_some_and(|peer| self.proxies.iter().any(|proxy| proxy.contains(peer)));
                is_near && !is_proxy && !was_forwarded(request.headers())
            }
            MetricsAccess::Nobody => false,
        }
    }
}

/// Headers that proxies, load balancers and content delivery networks add to what they
/// pass on.
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

/// How further ones begin.
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

/// Whether a proxy passed this on: then the peer's address says nothing about the
/// client.
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
        let answer = self.answer(&request);
        Box::pin(async move { Ok(answer) })
    }
}

fn text(status: StatusCode, text: &'static str) -> Response {
    whole(status, TEXT, Bytes::from_static(text.as_bytes()))
}

fn whole(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response {
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
    use std::net::SocketAddr;

    fn status(system: &System, peer: &str, path: &str, headers: &[&'static str]) -> u16 {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = path.parse().unwrap();
        request.extensions_mut().insert(Peer::from(peer.parse::<SocketAddr>().unwrap()));
        for name in headers {
            request.headers_mut().insert(*name, HeaderValue::from_static("x"));
        }
        system.answer(&request).status().as_u16()
    }

    fn system(access: MetricsAccess) -> System {
        System::new(Readiness::new(), Metrics::new(), access, &[])
    }

    #[test]
    fn metrics_are_for_this_machine_and_not_through_a_proxy() {
        let near = system(MetricsAccess::Loopback);
        for peer in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(status(&near, peer, "/metrics", &[]), 200, "{peer}");
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
                assert_eq!(status(&near, peer, "/metrics", &[header]), 404, "{header}");
            }
        }
        assert_eq!(status(&near, "10.0.0.1:1", "/metrics", &[]), 404);
        assert_eq!(status(&system(MetricsAccess::Nobody), "127.0.0.1:1", "/metrics", &[]), 404);
        assert_eq!(status(&system(MetricsAccess::Everybody), "10.0.0.1:1", "/metrics", &[]), 200);
    }

    #[test]
    fn metrics_are_not_for_a_trusted_proxy_on_this_machine() {
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
    fn the_page_is_beside_the_calls_it_makes() {
        for path in ["/invite", "/invite.js", "/invite.css"] {
            assert_eq!(status(&system(MetricsAccess::Nobody), "10.0.0.1:1", path, &[]), 200);
            assert_eq!(status(&system(MetricsAccess::Everybody), "10.0.0.1:1", path, &[]), 404);
        }
    }

    #[test]
    fn readiness_shows() {
        let system = system(MetricsAccess::Nobody);
        let peer = "10.0.0.1:1";
        assert_eq!(status(&system, peer, "/healthz", &[]), 200);
        assert_eq!(status(&system, peer, "/readyz", &[]), 503);
        system.readiness.store_answers(true);
        assert_eq!(status(&system, peer, "/readyz", &[]), 200);
        system.readiness.drain();
        assert_eq!(status(&system, peer, "/readyz", &[]), 503);
        assert_eq!(status(&system, peer, "/healthz", &[]), 200);
    }
}
