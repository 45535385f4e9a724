//! Other products' REST contracts, over the same operations: what was written for
//! them works here with another base URL and key.
//!
//! Every layer but the translation is the one that RPCs pass. `openapi` reads the
//! paths from the routes' own descriptions, so that what is known, served and
//! told is one thing; `door` refuses what is none of it and writes refusals in
//! the contract's own shape.

mod asked;
mod body;
mod clickhouse;
pub mod door;
mod gathered;
mod gitbook;
pub mod openapi;
mod refusal;

use axum::Router;
use http::{HeaderValue, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;
use tonic::body::Body;

use self::asked::Shared;
pub use self::refusal::Refusal;
use crate::config::Http;
use crate::domain::RequestId;
use crate::operations::Context;
use crate::transport::Response;

/// Whose contract a path belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// ClickHouse Cloud's invitations.
    ClickHouse,
    /// GitBook's organization invites.
    GitBook,
}

impl Vendor {
    /// Every one of them.
    pub const ALL: [Vendor; 2] = [Vendor::ClickHouse, Vendor::GitBook];

    /// Its name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Vendor::ClickHouse => "clickhouse",
            Vendor::GitBook => "gitbook",
        }
    }

    /// What all its paths begin with.
    const fn prefixes(self) -> &'static [&'static str] {
        match self {
            Vendor::ClickHouse => &["/v1/organizations"],
            Vendor::GitBook => &["/v1/orgs", "/v1/user"],
        }
    }

    /// Whose path this is, known or not.
    pub fn of(path: &str) -> Option<Self> {
        let is_under = |prefix: &&str| {
            path.strip_prefix(*prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        Vendor::ALL.into_iter().find(|vendor| vendor.prefixes().iter().any(&is_under))
    }

    /// How it wants to be told who asks.
    const fn challenge(self) -> HeaderValue {
        match self {
            Vendor::ClickHouse => HeaderValue::from_static("Basic realm=\"guestlist\""),
            Vendor::GitBook => HeaderValue::from_static("Bearer realm=\"guestlist\""),
        }
    }

    /// Writes a refusal as a whole answer.
    pub fn refuse(self, refusal: &Refusal, request: &RequestId) -> Response {
        let status = refusal.http;
        let mut response = match self {
            Vendor::ClickHouse => json(status, &clickhouse::error::body(refusal, request)),
            Vendor::GitBook => json(status, &gitbook::error::body(refusal)),
        };
        response.extensions_mut().insert(refusal.code);
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, self.challenge());
        }
        if let Some(after) = refusal.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What a handler answers.
type Answered = Result<Response, Refusal>;

/// Every route of every contract.
pub fn routes(cx: &Context, http: &Http) -> Router {
    let shared = Shared {
        cx: cx.clone(),
        max_request_bytes: http.max_request_bytes,
        max_response_bytes: http.max_response_bytes,
    };
    openapi::described().split_for_parts().0.with_state(shared)
}

/// A whole answer. Tokens stand in some of them, so nobody keeps any.
fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let body = match serde_json::to_vec(value) {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written");
            return empty(StatusCode::INTERNAL_SERVER_ERROR);
        }
    };
    let mut response = Response::new(Body::new(Full::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer that its status says all of.
fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart_by_whole_segments() {
        for (path, vendor) in [
            ("/v1/organizations", Some(Vendor::ClickHouse)),
            ("/v1/organizations/x/y/z", Some(Vendor::ClickHouse)),
            ("/v1/orgs", Some(Vendor::GitBook)),
            ("/v1/orgs/x", Some(Vendor::GitBook)),
            ("/v1/user", Some(Vendor::GitBook)),
            ("/v1/organization", None),
            ("/v1/organizationsx", None),
            ("/v1/users", None),
            ("/v1", None),
            ("/orgs", None),
            ("/", None),
        ] {
            assert_eq!(Vendor::of(path), vendor, "{path}");
        }
    }
}
