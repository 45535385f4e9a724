//! The OpenAPI document of the contracts. It is built from the routes, so that the known, the
//! served and the described paths are always the same.

use std::sync::LazyLock;

use bytes::Bytes;
use http::Method;
use utoipa::openapi::path::PathItem;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, Info, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;

use super::request::Shared;
use super::{clickhouse, gitbook};
use crate::transport::endpoint::{Endpoint, RestApi};

/// Names of the security schemes; every contract accepts both.
const BASIC: &str = "basic";
const BEARER: &str = "bearer";

static DOCUMENT: LazyLock<serde_json::Result<Bytes>> = LazyLock::new(|| {
    let document = described().split_for_parts().1;
    serde_json::to_vec(&document).map(Bytes::from)
});

/// The endpoints by path. axum's router uses the same library, so both match paths equally.
static ENDPOINTS: LazyLock<matchit::Router<Endpoint>> = LazyLock::new(|| {
    let mut by_path = matchit::Router::new();
    for endpoint in endpoints() {
        let template = endpoint.template().to_owned();
        by_path.insert(template, endpoint).expect("axum's router has the same templates");
    }
    by_path
});

/// The document as JSON.
///
/// # Errors
/// If it cannot be serialized.
pub fn document() -> Result<Bytes, &'static serde_json::Error> {
    DOCUMENT.as_ref().map(Bytes::clone)
}

/// The endpoint that a request's path belongs to.
pub fn endpoint(path: &str) -> Option<&'static Endpoint> {
    RestApi::of(path)?;
    let found = ENDPOINTS.at(path).ok()?;
    let has_empty_parameter = found.params.iter().any(|(_, value)| value.is_empty());
    (!has_empty_parameter).then_some(found.value)
}

fn endpoints() -> impl Iterator<Item = Endpoint> {
    let OpenApi { paths, .. } = described().split_for_parts().1;
    paths.paths.into_iter().map(|(template, item)| Endpoint::new(template, methods(&item)))
}

/// Every route with its OpenAPI description.
pub(super) fn described() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(base_document())
        .merge(clickhouse::routes())
        .merge(gitbook::routes())
}

/// The document without the routes.
fn base_document() -> OpenApi {
    let mut info = Info::new("Guestlist", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Invitations and invite links over REST. The same service speaks gRPC, gRPC-Web and \
         Connect at this address; reflection describes those."
            .to_owned(),
    );
    let scheme = |scheme, description: &str| {
        let http = HttpBuilder::new().scheme(scheme).description(Some(description));
        SecurityScheme::Http(http.build())
    };
    let mut components = ComponentsBuilder::new()
        .schema_from::<clickhouse::error::Body>()
        .schema_from::<gitbook::error::Body>()
        .build();
    components.add_security_scheme(
        BASIC,
        scheme(HttpAuthScheme::Basic, "The two halves of an API key: its id and its secret."),
    );
    components.add_security_scheme(
        BEARER,
        scheme(HttpAuthScheme::Bearer, "An API key, or a JSON Web Token of a configured issuer."),
    );
    let any_of = [BASIC, BEARER].map(|name| SecurityRequirement::new::<_, [&str; 0], _>(name, []));
    OpenApiBuilder::new().info(info).components(Some(components)).security(Some(any_of)).build()
}

fn methods(item: &PathItem) -> Vec<Method> {
    [
        (Method::GET, item.get.is_some()),
        (Method::POST, item.post.is_some()),
        (Method::PATCH, item.patch.is_some()),
        (Method::DELETE, item.delete.is_some()),
    ]
    .into_iter()
    .filter_map(|(method, is_there)| is_there.then_some(method))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_its_endpoint() {
        let found = |path: &str| endpoint(path).map(Endpoint::template);
        let one = "/v1/organizations/{organizationId}/invitations/{invitationId}";
        assert_eq!(found("/v1/organizations/a/invitations/b"), Some(one));
        assert_eq!(found("/v1/user"), Some("/v1/user"));
        for other in [
            "/v1/organizations/a/invitations/b/c",
            "/v1/organizations/a/invitations/",
            "/v1/organizations//invitations",
            "/v1/organizations/",
            "/v1/organizations/a/secret",
            "/v1/user/a",
            "/healthz",
        ] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn an_endpoint_lists_its_methods() {
        let links = endpoint("/v1/orgs/a/link-invites/b").unwrap();
        assert_eq!(links.allow_header(), "GET, PATCH, DELETE, HEAD, OPTIONS");
        assert!(links.allows(&Method::HEAD) && !links.allows(&Method::PUT));
        let template = "/v1/orgs/{organizationId}/link-invites/{inviteId}";
        assert_eq!(links.name(&Method::PATCH), format!("PATCH {template}"));
        assert_eq!(links.name(&Method::from_bytes(b"SECRET").unwrap()), template);
        let join = endpoint("/v1/orgs/a/invites/b").unwrap();
        assert!(join.allows(&Method::POST) && !join.allows(&Method::HEAD));
    }

    #[test]
    fn every_route_is_described_and_belongs_to_a_contract() {
        for endpoint in endpoints() {
            assert!(RestApi::of(endpoint.template()).is_some(), "{}", endpoint.template());
            assert_ne!(endpoint.allow_header(), "OPTIONS");
        }
        assert_eq!(endpoints().count(), 12);
        assert!(document().unwrap().starts_with(b"{\"openapi\":\"3.1.0\""));
    }
}
