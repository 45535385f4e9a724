//! The contracts' description, read from the routes themselves.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use http::Method;
use utoipa::ToSchema;
use utoipa::openapi::path::PathItem;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, Info, OpenApi, OpenApiBuilder, Ref, RefOr, Response,
    ResponseBuilder,
};
use utoipa_axum::router::OpenApiRouter;

use super::asked::Shared;
use super::{Vendor, clickhouse, gitbook};

/// The ways to say who asks; every contract takes both.
const BASIC: &str = "basic";
const BEARER: &str = "bearer";

/// What any request may be refused with.
const REFUSALS: &[(u16, &str)] = &[
    (400, "The request is wrong, or the present state forbids it; the message says what."),
    (401, "No credential, or one that is broken, expired or revoked."),
    (403, "A member without the right."),
    (404, "It does not exist, or the caller has no business with it."),
    (429, "Too many requests; `retry-after` says when to come back."),
    (500, "A fault of the server's."),
    (503, "The store cannot be reached; trying again may help."),
    (504, "The time for the request ran out."),
];

/// What a request with a body may be refused with besides.
const BODY_REFUSALS: &[(u16, &str)] =
    &[(413, "The body is larger than the server takes."), (415, "The body is not JSON.")];

/// One path of a contract.
#[derive(Debug)]
pub struct Endpoint {
    template: String,
    methods: Vec<Method>,
}

static DOCUMENT: LazyLock<serde_json::Result<Bytes>> = LazyLock::new(|| {
    let document = described().split_for_parts().1;
    serde_json::to_vec(&document).map(Bytes::from)
});

static ENDPOINTS: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
    let OpenApi { paths, .. } = described().split_for_parts().1;
    paths
        .paths
        .into_iter()
        .map(|(template, item)| Endpoint { template, methods: methods(&item) })
        .collect()
});

/// The document, as it is served.
///
/// # Errors
/// If it cannot be written.
pub fn document() -> Result<Bytes, &'static serde_json::Error> {
    DOCUMENT.as_ref().map(Bytes::clone)
}

/// The path of a contract that a request's path is.
pub fn endpoint(path: &str) -> Option<&'static Endpoint> {
    Vendor::of(path)?;
    ENDPOINTS.iter().find(|endpoint| endpoint.fits(path))
}

/// Every route with its description.
pub(super) fn described() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(frame()).merge(clickhouse::routes()).merge(gitbook::routes())
}

/// All of the document but the routes.
fn frame() -> OpenApi {
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

/// The refusals that a contract writes in this shape, by status.
pub(super) fn refusals<T: ToSchema>(with_body: bool) -> BTreeMap<String, RefOr<Response>> {
    let more = if with_body { BODY_REFUSALS } else { &[] };
    let response = |description: &str| {
        let content = Content::new(Some(Ref::from_schema_name(T::name())));
        ResponseBuilder::new().description(description).content("application/json", content)
    };
    REFUSALS
        .iter()
        .chain(more)
        .map(|(status, description)| (status.to_string(), response(description).build().into()))
        .collect()
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

impl Endpoint {
    /// The path with names for what differs: what logs may show.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Its name in metrics, which tells methods apart.
    pub fn name(&self, method: &Method) -> String {
        match self.methods.contains(method) {
            true => format!("{method} {}", self.template),
            false => self.template.clone(),
        }
    }

    /// Whether it has an answer to this method.
    pub fn takes(&self, method: &Method) -> bool {
        let of_head = *method == Method::HEAD && self.methods.contains(&Method::GET);
        of_head || self.methods.contains(method)
    }

    /// The value of `allow`.
    pub fn allow(&self) -> String {
        let head = self.methods.contains(&Method::GET).then_some("HEAD");
        let methods = self.methods.iter().map(Method::as_str);
        methods.chain(head).chain(["OPTIONS"]).collect::<Vec<_>>().join(", ")
    }

    /// Segment by segment; what stands for a name is anything but nothing.
    fn fits(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        let fit = self.template.split('/').all(|expected| {
            segments.next().is_some_and(|given| match expected.starts_with('{') {
                true => !given.is_empty(),
                false => given == expected,
            })
        });
        fit && segments.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_by_their_template() {
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
    fn a_path_tells_its_methods() {
        let links = endpoint("/v1/orgs/a/link-invites/b").unwrap();
        assert_eq!(links.allow(), "GET, PATCH, DELETE, HEAD, OPTIONS");
        assert!(links.takes(&Method::HEAD) && !links.takes(&Method::PUT));
        let template = "/v1/orgs/{organizationId}/link-invites/{inviteId}";
        assert_eq!(links.name(&Method::PATCH), format!("PATCH {template}"));
        assert_eq!(links.name(&Method::from_bytes(b"SECRET").unwrap()), template);
        let join = endpoint("/v1/orgs/a/invites/b").unwrap();
        assert!(join.takes(&Method::POST) && !join.takes(&Method::HEAD));
    }

    #[test]
    fn everything_served_is_described_and_belongs_to_a_contract() {
        for endpoint in ENDPOINTS.iter() {
            assert!(Vendor::of(&endpoint.template).is_some(), "{}", endpoint.template);
            assert!(!endpoint.methods.is_empty());
        }
        assert_eq!(ENDPOINTS.len(), 12);
        assert!(document().unwrap().starts_with(b"{\"openapi\":\"3.1.0\""));
    }
}
