//! Finds out the protocol and the route of a request.
//!
//! It also normalizes the path, `content-type`, `content-encoding` and `accept`: the translators
//! compare them byte by byte.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri, header};

use super::call::{CallInfo, CallOutcome, Protocol, Route};
use super::endpoint::RestApi;
use super::methods::Methods;
use super::rest::openapi;
use super::{Request, system};
use crate::domain::{RequestId, TraceParent};

/// A path prefix that some SDKs add.
const PREFIX: &str = "/api/";

/// The version prefix that GitBook's clients may leave out.
const VERSION: &str = "/v1";

pub struct Identify {
    methods: Methods,
}

impl Identify {
    pub fn new(methods: Methods) -> Self {
        Self { methods }
    }

    fn route(&self, path: &str) -> Route {
        if let Some(method) = self.methods.get(path) {
            return Route::Rpc(method.clone());
        }
        if let Some(endpoint) = openapi::endpoint(path) {
            return Route::Rest(endpoint);
        }
        match system::template(path) {
            Some(page) => Route::System(page),
            None if self.methods.has_service_of(path) => Route::UnknownMethod,
            None => Route::Unknown,
        }
    }

    /// Inserts the [`CallInfo`] of a request into its extensions.
    pub fn mark(&self, request: &mut Request) {
        // The path of a known method needs no rewriting.
        let method = self.methods.get(request.uri().path());
        if method.is_none() {
            if let Some(short) = without_prefix(request.uri()) {
                *request.uri_mut() = short;
            } else if let Some(whole) = with_version(request.uri()) {
                *request.uri_mut() = whole;
            }
        }
        lower_case(request.headers_mut(), header::CONTENT_ENCODING);
        let path = request.uri().path();
        let route = method.map_or_else(|| self.route(path), |method| Route::Rpc(method.clone()));
        let api = match route {
            Route::Rpc(_) => None,
            _ => RestApi::of(path),
        };
        let protocol = match api {
            Some(api) => Protocol::Rest(api),
            None => protocol(&route, request.headers_mut()),
        };
        let id = request.extensions().get::<RequestId>().cloned();
        let id = id.unwrap_or(RequestId::default());
        let trace = request.extensions().get::<TraceParent>().copied();
        let outcome = CallOutcome::default();
        let call = CallInfo { protocol, route, request: id, trace, outcome };
        request.extensions_mut().insert(Arc::new(call));
    }
}

/// Rewrites `/api/<service>/<method>` to `/<service>/<method>` and keeps the query.
fn without_prefix(uri: &Uri) -> Option<Uri> {
    let path_and_query = uri.path_and_query()?.as_str();
    let rest = path_and_query.strip_prefix(PREFIX)?;
    // Only paths of methods have the prefix: they have two segments.
    rest.split(['?', '#']).next()?.split_once('/')?;
    with_path(uri, &format!("/{rest}"))
}

/// Rewrites `/orgs/…` to `/v1/orgs/…` for GitBook's contract.
fn with_version(uri: &Uri) -> Option<Uri> {
    let whole = format!("{VERSION}{}", uri.path_and_query()?);
    let path = whole.split(['?', '#']).next()?;
    match RestApi::of(path)? {
        RestApi::GitBook => with_path(uri, &whole),
        RestApi::ClickHouse => None,
    }
}

fn with_path(uri: &Uri, path_and_query: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

fn protocol(route: &Route, headers: &mut HeaderMap) -> Protocol {
    use connectrpc::CodecFormat::{Json, Proto};

    // The fast path: most gRPC clients send exactly this.
    if headers.get(header::CONTENT_TYPE).is_some_and(|value| value == "application/grpc") {
        return Protocol::Grpc(Proto);
    }
    let Some(content_type) = essence(headers, header::CONTENT_TYPE) else {
        return plain(route);
    };
    let (protocol, canonical) = match content_type.as_str() {
        "application/grpc" | "application/grpc+proto" => {
            (Protocol::Grpc(Proto), "application/grpc")
        }
        "application/grpc+json" => (Protocol::Grpc(Json), "application/grpc"),
        "application/grpc-web" | "application/grpc-web+proto" => {
            (web_response(headers, Protocol::GrpcWeb(Proto)), "application/grpc-web+proto")
        }
        "application/grpc-web+json" => {
            (web_response(headers, Protocol::GrpcWeb(Json)), "application/grpc-web+proto")
        }
        "application/grpc-web-text" | "application/grpc-web-text+proto" => {
            (web_response(headers, Protocol::GrpcWebText(Proto)), "application/grpc-web-text+proto")
        }
        "application/grpc-web-text+json" => {
            (web_response(headers, Protocol::GrpcWebText(Json)), "application/grpc-web-text+proto")
        }
        "application/connect+proto" => {
            (Protocol::ConnectStream(Proto), "application/connect+proto")
        }
        "application/connect+json" => (Protocol::ConnectStream(Json), "application/connect+json"),
        "application/proto" => (plain(route), "application/proto"),
        "application/json" => (plain(route), "application/json"),
        // Another message format over gRPC's framing: `refuse` rejects it in gRPC.
        other if other.starts_with("application/grpc-web") => return Protocol::GrpcWeb(Proto),
        other if other.starts_with("application/grpc") => return Protocol::Grpc(Proto),
        _ => return plain(route),
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(canonical));
    protocol
}

/// The protocol of a request whose content type does not name one: Connect for a path of a
/// known service, plain HTTP for any other path.
fn plain(route: &Route) -> Protocol {
    match route {
        Route::Rpc(_) | Route::UnknownMethod => Protocol::Connect,
        Route::Rest(_) | Route::System(_) | Route::Unknown => Protocol::Http,
    }
}

/// The form of a gRPC-Web response, binary or text, by `accept`. Without `accept`, or with `*/*`,
/// it is the form of the request.
fn web_response(headers: &mut HeaderMap, requested: Protocol) -> Protocol {
    const TEXT: &str = "application/grpc-web-text";
    const BINARY: &str = "application/grpc-web";
    let accepted = |wanted: &str| {
        headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|list| list.split(','))
            .map(|range| range.split(';').next().unwrap_or(range).trim().to_ascii_lowercase())
            .any(|range| range.split('+').next() == Some(wanted))
    };
    let response = match (accepted(TEXT), accepted(BINARY), requested) {
        (true, false, Protocol::GrpcWeb(codec)) => Protocol::GrpcWebText(codec),
        (false, true, Protocol::GrpcWebText(codec)) => Protocol::GrpcWeb(codec),
        _ => requested,
    };
    let is_text = matches!(response, Protocol::GrpcWebText(_));
    let canonical = if is_text { TEXT } else { BINARY };
    headers.insert(header::ACCEPT, HeaderValue::from_static(canonical));
    response
}

/// Writes a case-insensitive header in lower case.
fn lower_case(headers: &mut HeaderMap, name: header::HeaderName) {
    let lower = headers.get(&name).and_then(|value| value.to_str().ok()).map(str::to_lowercase);
    if let Some(Ok(value)) = lower.map(HeaderValue::try_from) {
        headers.insert(name, value);
    }
}

/// The media type of a header without its parameters, in lower case.
fn essence(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or(value).trim();
    Some(essence.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::FILE_DESCRIPTOR_SET;
    use connectrpc::CodecFormat::{Json, Proto};

    const GET: &str = "/gitpod.v1.OrganizationService/GetOrganization";

    fn identify() -> Identify {
        Identify::new(Methods::new(&[FILE_DESCRIPTOR_SET]).unwrap())
    }

    fn of(content_type: &str, accept: Option<&str>) -> (Protocol, HeaderMap) {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
        }
        let route = identify().route(GET);
        (protocol(&route, &mut headers), headers)
    }

    #[test]
    fn the_prefix_is_removed_and_the_query_is_kept() {
        let uri = |text: &str| without_prefix(&text.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(uri("/api/a.B/C?x=%2Fapi"), Some("/a.B/C?x=%2Fapi".to_owned()));
        assert_eq!(uri("http://host/api/a.B/C"), Some("http://host/a.B/C".to_owned()));
        for other in ["/a.B/C", "/api", "/api/", "/api/healthz", "/apis/a.B/C", "/api/healthz?a/b"]
        {
            assert_eq!(uri(other), None, "{other}");
        }
    }

    #[test]
    fn gitbook_paths_may_leave_out_their_version() {
        let uri = |text: &str| with_version(&text.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(uri("/orgs?limit=%2F1"), Some("/v1/orgs?limit=%2F1".to_owned()));
        assert_eq!(uri("/orgs/x/invites"), Some("/v1/orgs/x/invites".to_owned()));
        assert_eq!(uri("http://host/user"), Some("http://host/v1/user".to_owned()));
        for other in ["/v1/orgs", "/organizations", "/organizations/x", "/orgsx", "/", "/x?/orgs"] {
            assert_eq!(uri(other), None, "{other}");
        }
    }

    #[test]
    fn a_route_is_named_by_its_template() {
        let identify = identify();
        assert_eq!(identify.route(GET).template(), GET);
        assert_eq!(identify.route("/healthz").template(), "/healthz");
        assert_eq!(identify.route("/secret/token").template(), "(unknown)");
        let join = "/v1/orgs/{organizationId}/invites/{inviteId}";
        assert_eq!(identify.route("/v1/orgs/x/invites/secret").template(), join);
        assert_eq!(identify.route("/v1/orgs/x/secret").template(), "(unknown)");
        assert_eq!(identify.route(&format!("{GET}/")).template(), "(unknown)");
        assert!(matches!(identify.route(&format!("{GET}s")), Route::UnknownMethod));
        assert!(matches!(identify.route("/gitpod.v1.OrganizationService"), Route::Unknown));
    }

    #[test]
    fn content_types_are_parsed_leniently_and_normalised() {
        for (given, expected, canonical) in [
            ("application/grpc", Protocol::Grpc(Proto), "application/grpc"),
            ("Application/gRPC+proto", Protocol::Grpc(Proto), "application/grpc"),
            ("application/grpc-web; x=y", Protocol::GrpcWeb(Proto), "application/grpc-web+proto"),
            ("application/grpc+json", Protocol::Grpc(Json), "application/grpc"),
            ("application/grpc-web+json", Protocol::GrpcWeb(Json), "application/grpc-web+proto"),
            ("application/json; charset=utf-8", Protocol::Connect, "application/json"),
            ("application/proto", Protocol::Connect, "application/proto"),
        ] {
            let (protocol, headers) = of(given, None);
            assert_eq!(
                (protocol, &headers[header::CONTENT_TYPE]),
                (expected, &canonical.parse().unwrap())
            );
        }
        // Unsupported formats are rejected in the protocol of the client.
        assert_eq!(of("application/grpc+thrift", None).0, Protocol::Grpc(Proto));
        assert_eq!(of("application/grpc-web+thrift", None).0, Protocol::GrpcWeb(Proto));
        assert_eq!(of("text/plain", None).0, Protocol::Connect);
    }

    #[test]
    fn a_grpc_web_response_has_the_form_of_accept_or_of_the_request() {
        let text = "application/grpc-web-text";
        for (content_type, accept, expected) in [
            (text, None, Protocol::GrpcWebText(Proto)),
            (text, Some("*/*"), Protocol::GrpcWebText(Proto)),
            (text, Some("application/grpc-web-text+proto"), Protocol::GrpcWebText(Proto)),
            (text, Some("application/grpc-web+proto"), Protocol::GrpcWeb(Proto)),
            ("application/grpc-web", None, Protocol::GrpcWeb(Proto)),
            (
                "application/grpc-web",
                Some("text/html, application/grpc-web-text;q=1"),
                Protocol::GrpcWebText(Proto),
            ),
        ] {
            let (protocol, headers) = of(content_type, accept);
            assert_eq!(protocol, expected, "{content_type} {accept:?}");
            let canonical = if expected == Protocol::GrpcWebText(Proto) {
                text
            } else {
                "application/grpc-web"
            };
            assert_eq!(headers[header::ACCEPT], canonical);
        }
    }
}
