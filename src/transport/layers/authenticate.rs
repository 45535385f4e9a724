//! Finds out who calls, from a request's headers and the same for every protocol.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};

use crate::auth::{self, Authenticator};
use crate::domain::{Caller, RequestId};
use crate::error::{Error, Result};

/// Names the account that a service acts for.
pub const ON_BEHALF_OF: HeaderName = HeaderName::from_static(auth::ON_BEHALF_OF);

/// Checks credentials.
pub trait Authenticate: Send + Sync + 'static {
    /// Who shows these headers; `None` when there is no credential. `request` is
    /// what an account's making or change is ascribed to.
    fn authenticate(
        &self,
        authorization: Option<&HeaderValue>,
        on_behalf_of: Option<&HeaderValue>,
        request: &RequestId,
    ) -> impl Future<Output = Result<Option<Arc<Caller>>>> + Send;
}

impl Authenticate for Arc<Authenticator> {
    async fn authenticate(
        &self,
        authorization: Option<&HeaderValue>,
        on_behalf_of: Option<&HeaderValue>,
        request: &RequestId,
    ) -> Result<Option<Arc<Caller>>> {
        Authenticator::authenticate(self, authorization, on_behalf_of, request).await
    }
}

/// What the methods ask of their callers, by path.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    /// Services whose methods never look at credentials.
    pub public_services: &'static [&'static str],
    /// Methods that callers without a credential may use too; a broken credential
    /// is refused there as well.
    pub anonymous_methods: &'static [&'static str],
}

impl Access {
    /// Whether strangers may call the method at `path`.
    pub fn is_open(&self, path: &str) -> bool {
        self.is_public(path) || self.is_anonymous(path)
    }

    fn is_public(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix('/') else {
            return false;
        };
        let is_of = |service: &&str| {
            rest.strip_prefix(*service).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.public_services.iter().any(is_of)
    }

    fn is_anonymous(&self, path: &str) -> bool {
        self.anonymous_methods.contains(&path)
    }
}

/// See the module.
pub struct Authentication<A> {
    authenticator: A,
    access: Access,
}

impl<A: Authenticate> Authentication<A> {
    /// Asks `authenticator` wherever `access` does not say otherwise.
    pub fn new(authenticator: A, access: Access) -> Self {
        Self { authenticator, access }
    }

    /// Whether the method at `path` never looks at credentials.
    pub fn is_public(&self, path: &str) -> bool {
        self.access.is_public(path)
    }

    /// Who calls the method at `path`; `None` where that may be anybody.
    ///
    /// # Errors
    /// UNAUTHENTICATED without a credential that the method needs, or with one that is
    /// not valid; what the authenticator answers otherwise.
    pub async fn caller(
        &self,
        path: &str,
        headers: &HeaderMap,
        request: &RequestId,
    ) -> Result<Option<Arc<Caller>>> {
        let authorization = single(headers, &AUTHORIZATION)?;
        let on_behalf_of = single(headers, &ON_BEHALF_OF)?;
        let caller = self.authenticator.authenticate(authorization, on_behalf_of, request).await?;
        if caller.is_none() && !self.access.is_anonymous(path) {
            return Err(Error::unauthenticated("a credential is needed: authorization: Bearer …"));
        }
        Ok(caller)
    }
}

/// The header's one value. Two would let two readers see two callers.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Error::unauthenticated(format!("more than one {name} header"))),
        (value, None) => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_is_by_whole_names() {
        let access = Access { public_services: &["a.Public"], anonymous_methods: &["/a.B/C"] };
        assert!(access.is_public("/a.Public/Any"));
        for other in ["/a.PublicToo/Any", "/a.B/a.Public", "a.Public/Any", "/"] {
            assert!(!access.is_public(other), "{other}");
        }
        assert!(access.is_anonymous("/a.B/C"));
        for other in ["/a.B/CC", "/a.B/C/", "/a.B", "/x/a.B/C"] {
            assert!(!access.is_anonymous(other), "{other}");
        }
    }

    #[test]
    fn a_header_stands_once() {
        let mut headers = HeaderMap::new();
        assert_eq!(single(&headers, &AUTHORIZATION).unwrap(), None);
        headers.append(AUTHORIZATION, HeaderValue::from_static("a"));
        assert_eq!(single(&headers, &AUTHORIZATION).unwrap(), Some(&HeaderValue::from_static("a")));
        headers.append(AUTHORIZATION, HeaderValue::from_static("a"));
        assert!(single(&headers, &AUTHORIZATION).is_err());
    }
}
