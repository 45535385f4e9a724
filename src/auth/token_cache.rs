//! A cache of verified tokens: the verification of a signature takes longer than the rest of a
//! short request, so the signature of a token is verified once.
//!
//! A token is found by the SHA-256 hash of its text. The text itself is not kept, and a
//! token that differs in one byte is another token. The header, the claims and the signature
//! never change, so they are not checked again. The times are checked at each use, and an
//! entry becomes invalid when the key set of its issuer changes. The settings of issuers do
//! not change while the process runs.
//!
//! Rejected tokens are not cached: a client can invent any number of them, and a rejected
//! token may become valid, for example when the issuer publishes a new key.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use super::freshness::ReadAt;
use super::identity::Identity;
use super::jwks::KeySet;
use super::jwt_times::Times;
use crate::domain::{Caller, Timestamp};
use crate::storage::Store;

/// The most cached tokens.
const CAPACITY: usize = 10_000;

/// Tokens with longer texts in their claims are verified at each use. With this limit and
/// those of an account, an entry has less than 8 KiB, and usually 1 KiB.
const MAX_CLAIMS_BYTES: usize = 2048;

pub struct TokenCache(Cache<TokenHash, Arc<VerifiedToken>>);

/// The SHA-256 hash of a token's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

/// A token with a valid signature.
pub struct VerifiedToken {
    pub identity: Identity,
    times: Times,
    keys: Arc<KeySet>,
    /// The [`KeySet::version`] before the signature was verified.
    keys_version: u64,
    signed_in: Mutex<Option<SignedIn>>,
}

/// The result of the last sign-in with a token.
struct SignedIn {
    caller: Arc<Caller>,
    read_at: ReadAt,
    /// Whether the account has all values of the token's claims. If not, a later sign-in stores
    /// the rest, when the appearance of the account may change again.
    is_complete: bool,
}

impl TokenHash {
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

impl TokenCache {
    /// The token with this hash if it has been verified and is still valid at `now`.
    pub fn get(&self, hash: &TokenHash, now: Timestamp) -> Option<Arc<VerifiedToken>> {
        let token = self.0.get(hash)?;
        if token.is_valid(now) {
            return Some(token);
        }
        self.0.remove_if(hash, |cached| Arc::ptr_eq(cached, &token));
        None
    }

    /// Caches a token, unless its claims are too long. The cache evicts another token if it
    /// is full.
    pub fn insert(&self, hash: TokenHash, token: &Arc<VerifiedToken>) {
        let Identity { issuer, subject, email, name, picture, .. } = &token.identity;
        let email = email.as_ref().map_or(0, |email| email.as_str().len());
        let bytes = issuer.len() + subject.len() + email + name.len() + picture.len();
        if bytes <= MAX_CLAIMS_BYTES {
            self.0.insert(hash, Arc::clone(token));
        }
    }
}

impl Default for TokenCache {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

impl VerifiedToken {
    /// `keys_version` is the version of the key set before the signature was verified.
    pub fn new(identity: Identity, times: Times, keys: Arc<KeySet>, keys_version: u64) -> Self {
        Self { identity, times, keys, keys_version, signed_in: Mutex::default() }
    }

    fn is_valid(&self, now: Timestamp) -> bool {
        self.keys.refresh_stale();
        self.keys.version() == self.keys_version && self.times.check(now).is_ok()
    }

    /// The caller of the last sign-in, unless its account is outdated or another sign-in
    /// would change it.
    pub fn caller(&self, store: &Store, now: Timestamp) -> Option<Arc<Caller>> {
        let signed_in = self.signed_in();
        let SignedIn { caller, read_at, is_complete } = signed_in.as_ref()?;
        let changes_nothing = *is_complete || !caller.account.may_change_appearance(now);
        (changes_nothing && read_at.is_fresh(store)).then(|| Arc::clone(caller))
    }

    /// Keeps the caller of a sign-in, whose account was read after `read_at`.
    pub fn keep_caller(&self, caller: &Arc<Caller>, read_at: ReadAt, is_complete: bool) {
        let caller = Arc::clone(caller);
        *self.signed_in() = Some(SignedIn { caller, read_at, is_complete });
    }

    /// A poisoned lock is usable: every change is a single step.
    fn signed_in(&self) -> MutexGuard<'_, Option<SignedIn>> {
        self.signed_in.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::config::JwksSource;

    fn token(name: &str, exp: f64) -> Arc<VerifiedToken> {
        let source = JwksSource::File("not-read.json".into());
        let keys = KeySet::new("issuer", &source, Arc::new(SystemClock)).unwrap();
        let identity = Identity {
            issuer: "issuer".to_owned(),
            subject: "ana".to_owned(),
            email: None,
            email_verified: false,
            name: name.to_owned(),
            picture: String::new(),
        };
        Arc::new(VerifiedToken::new(identity, Times { exp, nbf: None }, keys, 0))
    }

    #[tokio::test]
    async fn p31_many_valid_tokens_do_not_exceed_the_cache_capacity() {
        let (cache, now) = (TokenCache::default(), SystemClock.now());
        let one = token("Ana", 1e12);
        for number in 0..3 * CAPACITY {
            let hash = TokenHash::of(&number.to_string());
            cache.insert(hash, &one);
            assert!(cache.0.len() <= CAPACITY, "{number}");
        }
        assert!(cache.0.len() > CAPACITY / 2);
        let present =
            |number: &usize| cache.get(&TokenHash::of(&number.to_string()), now).is_some();
        assert_eq!((0..3 * CAPACITY).filter(present).count(), cache.0.len());
    }

    #[tokio::test]
    async fn p31_a_token_with_too_long_claims_is_not_cached() {
        let (cache, now) = (TokenCache::default(), SystemClock.now());
        let longest = MAX_CLAIMS_BYTES - "issuer".len() - "ana".len();
        for (bytes, is_cached) in [(longest, true), (longest + 1, false)] {
            let hash = TokenHash::of(&bytes.to_string());
            cache.insert(hash, &token(&"n".repeat(bytes), 1e12));
            assert_eq!(cache.get(&hash, now).is_some(), is_cached, "{bytes}");
        }
    }

    #[tokio::test]
    async fn an_expired_token_is_removed_from_the_cache_when_it_is_used() {
        let (cache, now) = (TokenCache::default(), SystemClock.now());
        let hash = TokenHash::of("token");
        cache.insert(hash, &token("Ana", 0.0));
        assert_eq!(cache.0.len(), 1);
        assert!(cache.get(&hash, now).is_none());
        assert_eq!(cache.0.len(), 0);
    }
}
