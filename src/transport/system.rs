//! What operators, probes and tools ask for: pages, readiness, metrics, the
//! description of the REST contracts, gRPC health and reflection. None of it
//! changes anything or needs a credential.

pub mod health;
mod invite_page;
pub mod readiness;
pub mod reflection;

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::Full;
use tonic::body::Body;
use tower::Service;

use self::readiness::Readiness;
use super::layers::BoxFuture;
use super::layers::metrics::Metrics;
use super::server::Peer;
use super::vendor::openapi;
use super::{Request, Response};

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
    /// This machine only, and nothing that a proxy passed on.
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
}

impl System {
    /// Serves `metrics` to whom `access` says.
    pub fn new(readiness: Readiness, metrics: Metrics, access: MetricsAccess) -> Self {
        Self { readiness, metrics, access }
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
                let peer = request.extensions().get::<Peer>();
                peer.is_some_and(|peer| peer.address.ip().to_canonical().is_loopback())
                    && !was_forwarded(request.headers())
            }
            MetricsAccess::Nobody => false,
        }
    }
}

/// Whether a proxy passed this on: then the peer's address says nothing about who
/// asks.
fn was_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        name.starts_with("x-forwarded") || matches!(name, "forwarded" | "via" | "x-real-ip")
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
        System::new(Readiness::new(), Metrics::new(), access)
    }

    #[test]
    fn metrics_are_for_this_machine_and_not_through_a_proxy() {
        let near = system(MetricsAccess::Loopback);
        for peer in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(status(&near, peer, "/metrics", &[]), 200, "{peer}");
            for header in ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-real-ip", "via"]
            {
                assert_eq!(status(&near, peer, "/metrics", &[header]), 404, "{header}");
            }
        }
        assert_eq!(status(&near, "10.0.0.1:1", "/metrics", &[]), 404);
        assert_eq!(status(&system(MetricsAccess::Nobody), "127.0.0.1:1", "/metrics", &[]), 404);
        assert_eq!(status(&system(MetricsAccess::Everybody), "10.0.0.1:1", "/metrics", &[]), 200);
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
