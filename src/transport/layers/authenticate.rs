//! Authenticates a request by its headers, in the same way for every protocol.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};

use crate::auth::{self, Authenticator};
use crate::domain::{Caller, RequestId};
use crate::error::{Error, Result};

/// The header with the account that a service acts for.
pub const ON_BEHALF_OF: HeaderName = HeaderName::from_static(auth::ON_BEHALF_OF);

/// Checks credentials.
pub trait Authenticate: Send + Sync + 'static {
    /// The caller with these headers; `None` without a credential. If this call creates or changes
    /// the account of the caller, the audit trail records `request` as the request id.
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

/// The methods that callers without a credential may use, by path.
#[derive(Debug, Clone)]
pub struct Access {
    /// Services whose methods need no credential and normally ignore one.
    pub public_services: &'static [&'static str],
    /// Methods that callers may use without a credential; an invalid credential is rejected here
    /// too.
    pub anonymous_methods: Vec<&'static str>,
}

impl Access {
    /// Whether the method at `path` needs no credential.
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

pub struct Authentication<A> {
    authenticator: A,
    access: Access,
}

impl<A: Authenticate> Authentication<A> {
    pub fn new(authenticator: A, access: Access) -> Self {
        Self { authenticator, access }
    }

    pub fn is_public(&self, path: &str) -> bool {
        self.access.is_public(path)
    }

    /// The caller of the method at `path`; `None` without a credential if the method is one of
    /// [`Access::anonymous_methods`].
    ///
    /// # Errors
    /// UNAUTHENTICATED if a required credential is missing or if the credential is invalid; other
    /// errors of the authenticator.
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

/// The single value of a header. A second value is an error: two programs that read the request
/// could take different values and so see different callers.
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
    fn names_of_services_and_methods_match_completely() {
        let access = Access { public_services: &["a.Public"], anonymous_methods: vec!["/a.B/C"] };
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
    fn a_repeated_header_is_rejected() {
        let mut headers = HeaderMap::new();
        assert_eq!(single(&headers, &AUTHORIZATION).unwrap(), None);
        headers.append(AUTHORIZATION, HeaderValue::from_static("a"));
        assert_eq!(single(&headers, &AUTHORIZATION).unwrap(), Some(&HeaderValue::from_static("a")));
        headers.append(AUTHORIZATION, HeaderValue::from_static("a"));
        assert!(single(&headers, &AUTHORIZATION).is_err());
    }
}
