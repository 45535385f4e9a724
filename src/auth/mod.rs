//! Authentication: from the headers of a request to a [`Caller`].
//!
//! A credential is an API key of this service (`Bearer gl_…` or Basic) or a JSON Web Token of
//! a configured issuer. Every invalid credential gets the same error; only the log has the
//! reason.

mod accounts;
mod api_key;
mod fetch;
mod freshness;
mod identity;
mod issuers;
mod jwk;
mod jwks;
mod jwks_source;
mod jwt;
mod jwt_header;
mod jwt_times;
mod key_cache;
pub mod key_usage;
mod provider;
mod rejection;
mod sign_in;
mod token_cache;

use std::sync::Arc;

use http::HeaderValue;
use tokio::sync::Semaphore;

use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::domain::{
    Account, AccountId, ApiKeySecret, Caller, Credential, KeyId, KeyScope, RequestId, Timestamp,
};
use crate::error::{Error, Result};
use crate::storage::{self, Store, api_keys};
use freshness::ReadAt;
use jwt::JwtVerifier;
use key_cache::{CachedKey, KeyCache};
use key_usage::KeyUsage;
use rejection::AuthRejection;
use token_cache::VerifiedToken;

pub use accounts::{resolve, resolve_local};
pub use identity::Identity;
pub use issuers::Issuers;
pub use sign_in::{
    Begin, Begun, Finish, MAX_REFRESH_BYTES, MAX_RENEWED_BYTES, Renew, SignIns, SignedIn,
};

/// The header with the id of the account that an internal service acts for.
pub const ON_BEHALF_OF: &str = "guestlist-on-behalf-of";

/// The most concurrent reads of keys whose secret has never been verified. A client that
/// invents keys cannot use more of the store's connections.
const MAX_UNVERIFIED_LOOKUPS: usize = 2;

/// Authenticates the requests of all protocols.
pub struct Authenticator {
    store: Store,
    clock: Arc<dyn Clock>,
    issuers: Arc<Issuers>,
    jwt: JwtVerifier,
    key_usage: Arc<KeyUsage>,
    key_cache: KeyCache,
    unverified_lookups: Semaphore,
}

/// Checks the issuers' files with public keys.
///
/// # Errors
/// If a file cannot be used.
pub async fn check(issuers: &[config::Issuer]) -> Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    JwtVerifier::start(&Issuers::new(issuers), &clock).await.map(drop)
}

/// A credential of a request, not verified.
enum Presented<'a> {
    Key(ApiKeySecret),
    Token(&'a str),
}

impl Authenticator {
    /// Reads files with public keys. URLs are read by [`Authenticator::refresh_public_keys`]
    /// or with the first token.
    ///
    /// # Errors
    /// If a file with public keys cannot be used.
    pub async fn start(
        issuers: &[config::Issuer],
        store: Store,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let issuers = Arc::new(Issuers::new(issuers));
        let jwt = JwtVerifier::start(&issuers, &clock).await?;
        Ok(Self {
            store,
            clock,
            issuers,
            jwt,
            key_usage: Arc::default(),
            key_cache: KeyCache::default(),
            unverified_lookups: Semaphore::new(MAX_UNVERIFIED_LOOKUPS),
        })
    }

    /// Starts background refreshes of the issuers' stale public keys. A worker calls it every
    /// second, so that requests find fresh keys.
    pub fn refresh_public_keys(&self) {
        self.jwt.refresh_stale();
    }

    pub fn issuers(&self) -> &Arc<Issuers> {
        &self.issuers
    }

    /// The uses of keys that have not been written to the store yet.
    pub fn key_usage(&self) -> &Arc<KeyUsage> {
        &self.key_usage
    }

    /// The identity of a token, which is verified like the token of any request. Neither finds
    /// nor creates an account.
    ///
    /// # Errors
    /// As [`Authenticator::authenticate`].
    pub async fn identity(&self, token: &str) -> Result<Identity> {
        Ok(self.jwt.verify(token, self.clock.now()).await?.identity.clone())
    }

    /// The caller for the values of `authorization` and [`ON_BEHALF_OF`]; `None` if both are
    /// absent. Creates or updates the account of a valid token; `request` is the request id in
    /// the audit trail.
    ///
    /// # Errors
    /// UNAUTHENTICATED if the credential is invalid, or if only [`ON_BEHALF_OF`] has a value;
    /// PERMISSION_DENIED if the credential may not act for that account; UNAVAILABLE if the
    /// store cannot be read, or no public keys of the token's issuer have been read yet.
    pub async fn authenticate(
        &self,
        authorization: Option<&HeaderValue>,
        on_behalf_of: Option<&HeaderValue>,
        request: &RequestId,
    ) -> Result<Option<Arc<Caller>>> {
        let Some(authorization) = authorization else {
            return match on_behalf_of {
                Some(_) => Err(AuthRejection("acting for an account without a credential").into()),
                None => Ok(None),
            };
        };
        let now = self.clock.now();
        let mut caller = match parse(authorization)? {
            Presented::Key(key) => self.authenticate_key(&key, now).await?,
            Presented::Token(token) => self.authenticate_token(token, now, request).await?,
        };
        if let Some(header) = on_behalf_of {
            // Boxed, like every rare case, so that the future of the common cases stays small.
            caller = Box::pin(self.act_for(&caller, header)).await?;
        }
        Ok(Some(caller))
    }

    async fn authenticate_key(
        &self,
        presented: &ApiKeySecret,
        now: Timestamp,
    ) -> Result<Arc<Caller>> {
        let cached = match self.key_cache.get(presented.id(), &self.store) {
            Some(cached) => Some(cached),
            // The lookup of a key whose secret has been verified before does not wait for
            // lookups of keys that may be invented.
            None if self.key_cache.has_seen(presented) => self.read_key(presented.id()).await?,
            None => {
                let _turn = self.unverified_lookups.acquire().await.map_err(Error::internal)?;
                self.read_key(presented.id()).await?
            }
        };
        api_key::verify(presented, cached.as_ref().map(|cached| &*cached.key), now)?;
        let CachedKey { key, caller, .. } = cached.ok_or_else(|| Error::internal("no key"))?;
        self.key_usage.record(&key, now);
        Ok(caller)
    }

    /// Reads the key from the store and caches it.
    async fn read_key(&self, id: &KeyId) -> Result<Option<CachedKey>> {
        let read_at = ReadAt::now(&self.store);
        let Some((key, account)) = api_keys::find(self.store.read(), id).await? else {
            return Ok(None);
        };
        let credential = Credential::Key {
            id: key.id.clone(),
            scope: key.scope,
            organization: key.organization,
        };
        let caller = self.caller(account, None, credential);
        let cached = CachedKey { key: Arc::new(key), caller, read_at };
        self.key_cache.insert(cached.clone());
        Ok(Some(cached))
    }

    async fn authenticate_token(
        &self,
        token: &str,
        now: Timestamp,
        request: &RequestId,
    ) -> Result<Arc<Caller>> {
        let token = self.jwt.verify(token, now).await?;
        match token.caller(&self.store, now) {
            Some(caller) => Ok(caller),
            None => Box::pin(self.sign_in(&token, now, request)).await,
        }
    }

    /// Finds, creates or updates the account of a verified token, and keeps the caller with
    /// the token.
    async fn sign_in(
        &self,
        token: &VerifiedToken,
        now: Timestamp,
        request: &RequestId,
    ) -> Result<Arc<Caller>> {
        let (store, issuers, identity) = (&self.store, &*self.issuers, &token.identity);
        let read_at = ReadAt::now(store);
        let account = accounts::sign_in(store, issuers, now, request, identity.clone()).await?;
        let is_complete = accounts::is_complete(issuers, &account, identity);
        let caller = self.caller(account, None, Credential::Jwt);
        token.keep_caller(&caller, read_at, is_complete);
        Ok(caller)
    }

    /// The caller's address counts as verified only if the settings trust the issuer for it.
    fn caller(
        &self,
        mut account: Account,
        acting: Option<Account>,
        credential: Credential,
    ) -> Arc<Caller> {
        self.issuers.limit(&mut account);
        Arc::new(Caller { account, acting, credential })
    }

    /// A service with a key of scope `act` gets the rights of an account whose issuer is
    /// configured. All errors are equal, so that they do not reveal which accounts exist.
    async fn act_for(&self, caller: &Caller, header: &HeaderValue) -> Result<Arc<Caller>> {
        let denied = || Error::permission_denied("this credential may not act for that account");
        if caller.scope() != Some(KeyScope::Act) {
            return Err(denied());
        }
        let id: AccountId =
            header.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(denied)?;
        let account = storage::accounts::find(self.store.read(), id)
            .await?
            .filter(|account| self.issuers.may_be_acted_for(&account.issuer))
            .ok_or_else(denied)?;
        Ok(self.caller(account, Some(caller.account.clone()), caller.credential.clone()))
    }
}

/// Parses `Authorization` (RFC 9110 §11.6.2); the scheme is case-insensitive.
fn parse(header: &HeaderValue) -> Result<Presented<'_>, AuthRejection> {
    let text = header.to_str().map_err(|_| AuthRejection("authorization is not visible ASCII"))?;
    let (scheme, rest) = text
        .trim()
        .split_once(' ')
        .ok_or(AuthRejection("authorization has no scheme or no value"))?;
    let rest = rest.trim_start();
    if scheme.eq_ignore_ascii_case("basic") {
        return api_key::parse_basic(rest).map(Presented::Key);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(AuthRejection("authorization is neither Bearer nor Basic"));
    }
    if rest.starts_with("gl_") {
        return rest
            .parse()
            .map(Presented::Key)
            .map_err(|_| AuthRejection("Bearer credential is not an API key"));
    }
    Ok(Presented::Token(rest))
}

#[cfg(test)]
pub(crate) mod tests;
