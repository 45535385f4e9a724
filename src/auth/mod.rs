//! Who asks: from the headers of a request to a [`Caller`].
//!
//! A credential is an API key made here (`Bearer gl_…` or Basic) or a JSON Web
//! Token of a configured issuer. Whatever is wrong with one, the caller is told
//! the same; the reason goes to the log.

mod accounts;
mod api_key;
mod identity;
mod issuers;
mod jwk;
mod jwks;
mod jwks_source;
mod jwt;
mod jwt_header;
pub mod key_usage;
mod known_keys;
mod refusal;

use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;
use tokio::sync::Semaphore;

use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::domain::{
    Account, AccountId, ApiKeySecret, Caller, Credential, KeyId, KeyScope, RequestId, Timestamp,
};
use crate::error::{Error, Result};
use crate::storage::{self, Store, api_keys};
use jwt::JwtVerifier;
use key_usage::KeyUsage;
use known_keys::{Known, KnownKeys};
use refusal::Refusal;

pub use accounts::{resolve, resolve_local};
pub use identity::Identity;
pub use issuers::Issuers;

/// The header by which an internal service says for whose account it acts.
pub const ON_BEHALF_OF: &str = "guestlist-on-behalf-of";

/// Keys at a time that the store is asked for and that nobody has shown to be theirs: a
/// peer that makes keys up takes no more of the store's connections from callers.
const MAX_LOOKUPS: usize = 2;

/// Finds out who asks. There is one, and every door runs it.
pub struct Authenticator {
    store: Store,
    clock: Arc<dyn Clock>,
    issuers: Arc<Issuers>,
    jwt: JwtVerifier,
    key_usage: Arc<KeyUsage>,
    known_keys: KnownKeys,
    lookups: Semaphore,
}

/// Checks what the settings of issuers lead to: the files with public keys.
///
/// # Errors
/// If a file cannot be used.
pub async fn check(issuers: &[config::Issuer]) -> Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    JwtVerifier::start(&Issuers::new(issuers), &clock).await.map(drop)
}

/// A credential as it was shown.
enum Presented<'a> {
    Key(ApiKeySecret),
    Token(&'a str),
}

impl Authenticator {
    /// Makes ready. Files with public keys are read; addresses are asked when the
    /// first token comes, or by [`Authenticator::refresh_public_keys`].
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
            known_keys: KnownKeys::default(),
            lookups: Semaphore::new(MAX_LOOKUPS),
        })
    }

    /// Begins to read the issuers' public keys that were never read or have reached
    /// their age. Called every second, it has tokens find keys that are there and
    /// fresh.
    pub fn refresh_public_keys(&self) {
        self.jwt.refresh_aged();
    }

    /// The configured issuers.
    pub fn issuers(&self) -> &Arc<Issuers> {
        &self.issuers
    }

    /// The uses of keys that are still to be written down.
    pub fn key_usage(&self) -> &Arc<KeyUsage> {
        &self.key_usage
    }

    /// Who asks, given the values of `authorization` and [`ON_BEHALF_OF`]; `None`
    /// if no credential is shown. An account that a token tells of is made, or
    /// brought up to date, on account of `request`.
    ///
    /// # Errors
    /// UNAUTHENTICATED if the credential is not to be taken; PERMISSION_DENIED if
    /// it may not act for that account; UNAVAILABLE if the store cannot be read, or
    /// no public keys of the token's issuer have been read yet.
    pub async fn authenticate(
        &self,
        authorization: Option<&HeaderValue>,
        on_behalf_of: Option<&HeaderValue>,
        request: &RequestId,
    ) -> Result<Option<Arc<Caller>>> {
        let Some(authorization) = authorization else {
            return match on_behalf_of {
                Some(_) => Err(Refusal("acting for an account without a credential").into()),
                None => Ok(None),
            };
        };
        let now = self.clock.now();
        let mut caller = match parse(authorization)? {
            Presented::Key(key) => self.by_key(&key, now).await?,
            // Boxed, like what follows: the most common way should not carry their room.
            Presented::Token(token) => Box::pin(self.by_token(token, now, request)).await?,
        };
        if let Some(header) = on_behalf_of {
            caller = Box::pin(self.act_for(&caller, header)).await?;
        }
        Ok(Some(caller))
    }

    async fn by_key(&self, shown: &ApiKeySecret, now: Timestamp) -> Result<Arc<Caller>> {
        let known = match self.known_keys.get(shown.id(), self.store.keys_version()) {
            Some(known) => Some(known),
            // Who has shown this key's secret before does not wait for those who may have
            // made theirs up.
            None if self.known_keys.have_seen(shown) => self.read_key(shown.id()).await?,
            None => {
                let _turn = self.lookups.acquire().await.map_err(Error::internal)?;
                self.read_key(shown.id()).await?
            }
        };
        api_key::verify(shown, known.as_ref().map(|known| &*known.key), now)?;
        let Known { key, caller, .. } = known.ok_or_else(|| Error::internal("no key"))?;
        self.key_usage.record(&key, now);
        Ok(caller)
    }

    /// The key as the store has it now.
    async fn read_key(&self, id: &KeyId) -> Result<Option<Known>> {
        let (read_at, version) = (Instant::now(), self.store.keys_version());
        let Some((key, account)) = api_keys::find(self.store.read(), id).await? else {
            return Ok(None);
        };
        let credential = Credential::Key {
            id: key.id.clone(),
            scope: key.scope,
            organization: key.organization,
        };
        let caller = self.caller(account, None, credential);
        let known = Known { key: Arc::new(key), caller, read_at, version };
        self.known_keys.put(known.clone());
        Ok(Some(known))
    }

    async fn by_token(
        &self,
        token: &str,
        now: Timestamp,
        request: &RequestId,
    ) -> Result<Arc<Caller>> {
        let identity = self.jwt.verify(token, now).await?;
        let account = accounts::sign_in(&self.store, &self.issuers, now, request, identity).await?;
        Ok(self.caller(account, None, Credential::Jwt))
    }

    /// A caller whose address counts as far as its issuer's word does.
    fn caller(
        &self,
        mut account: Account,
        acting: Option<Account>,
        credential: Credential,
    ) -> Arc<Caller> {
        self.issuers.limit(&mut account);
        Arc::new(Caller { account, acting, credential })
    }

    /// A service with a key of scope `act` takes on the rights of an account whose
    /// issuer is configured. Why it may not is told to nobody, since that would
    /// tell which accounts there are.
    async fn act_for(&self, caller: &Caller, header: &HeaderValue) -> Result<Arc<Caller>> {
        let denied = || Error::permission_denied("this credential may not act for that account");
        if caller.scope() != Some(KeyScope::Act) {
            return Err(denied());
        }
        let id: AccountId =
            header.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(denied)?;
        let account = storage::accounts::find(self.store.read(), id)
            .await?
            .filter(|account| self.may_be_acted_for(account))
            .ok_or_else(denied)?;
        Ok(self.caller(account, Some(caller.account.clone()), caller.credential.clone()))
    }

    /// Accounts made here have keys of their own; nobody acts for those.
    fn may_be_acted_for(&self, account: &Account) -> bool {
        self.issuers.get(&account.issuer).is_some()
    }
}

/// Reads `Authorization` (RFC 9110 §11.6.2); the scheme's case does not count.
fn parse(header: &HeaderValue) -> Result<Presented<'_>, Refusal> {
    let text = header.to_str().map_err(|_| Refusal("authorization is not visible ASCII"))?;
    let (scheme, rest) =
        text.trim().split_once(' ').ok_or(Refusal("authorization has no scheme or no value"))?;
    let rest = rest.trim_start();
    if scheme.eq_ignore_ascii_case("basic") {
        return api_key::parse_basic(rest).map(Presented::Key);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal("authorization is neither Bearer nor Basic"));
    }
    if rest.starts_with("gl_") {
        return rest
            .parse()
            .map(Presented::Key)
            .map_err(|_| Refusal("Bearer credential is not an API key"));
    }
    Ok(Presented::Token(rest))
}

#[cfg(test)]
pub(crate) mod tests;
