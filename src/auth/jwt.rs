//! Verification of JSON Web Tokens (RFC 7519) as RFC 8725 recommends.
//!
//! A token is accepted if its `iss` is a configured issuer, its `alg` is configured for that
//! issuer, one of the issuer's keys verifies its signature, `aud` contains the configured
//! audience, `exp` is present and in the future, and `nbf`, if present, is in the past; both
//! with a leeway of 60 seconds. The library checks everything except the times, which are
//! compared with the service's clock. The signature of a token is verified once: see
//! [`token_cache`](super::token_cache).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode};
use serde::Deserialize;
use serde_json::Value;

use super::fetch::BoxError;
use super::identity::Identity;
use super::issuers::Issuers;
use super::jwk::library_algorithm;
use super::jwks::{KeySet, NeverRead};
use super::jwt_header;
use super::jwt_times::Times;
use super::rejection::AuthRejection;
use super::token_cache::{TokenCache, TokenHash, VerifiedToken};
use crate::clock::Clock;
use crate::config::{Algorithm, JwksSource, Trust};
use crate::domain::Timestamp;
use crate::error::{Error, Kind, Result, chain};

const MAX_SUBJECT_BYTES: usize = 255;

/// Verifies the tokens of all issuers of kind `jwt`.
pub struct JwtVerifier {
    issuers: HashMap<String, JwtIssuer>,
    verified: TokenCache,
}

struct JwtIssuer {
    audience: String,
    algorithms: Vec<Algorithm>,
    email_verified_as_text: bool,
    keys: Arc<KeySet>,
    /// Whether it has been logged that `email_verified` is a text.
    has_logged_text: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    Rejected(AuthRejection),
    /// The token cannot be verified: the issuer's keys have not been read yet.
    NoKeys(NeverRead),
}

/// The claims of RFC 7519 §4.1 and OpenID Connect Core §5.1 that are used.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: f64,
    nbf: Option<f64>,
    #[serde(default)]
    email: Value,
    #[serde(default)]
    email_verified: Value,
    #[serde(default)]
    name: Value,
    #[serde(default)]
    picture: Value,
}

impl JwtVerifier {
    /// Reads the key files. Keys from URLs are read later, since the start must not depend
    /// on another service.
    ///
    /// # Errors
    /// If a key file cannot be used.
    pub async fn start(issuers: &Issuers, clock: &Arc<dyn Clock>) -> Result<Self> {
        let mut by_name = HashMap::new();
        for issuer in issuers.iter() {
            let Trust::Jwt { audience, algorithms, email_verified_as_text, jwks, .. } =
                &issuer.trust
            else {
                continue;
            };
            let wrong = |what: String, cause: BoxError| {
                let cause = chain(&*cause);
                Error::invalid("issuers", format!("issuer `{}`: {what}: {cause}", issuer.issuer))
            };
            let keys = KeySet::new(&issuer.issuer, jwks, Arc::clone(clock))
                .map_err(|cause| wrong("public keys cannot be fetched".into(), cause))?;
            if let JwksSource::File(path) = jwks {
                let what = || format!("its public keys cannot be read from {}", path.display());
                keys.read().await.map_err(|cause| wrong(what(), cause))?;
            }
            let issuer_of_tokens = JwtIssuer {
                audience: audience.clone(),
                algorithms: algorithms.clone(),
                email_verified_as_text: *email_verified_as_text,
                keys,
                has_logged_text: AtomicBool::new(false),
            };
            by_name.insert(issuer.issuer.clone(), issuer_of_tokens);
        }
        Ok(Self { issuers: by_name, verified: TokenCache::default() })
    }

    /// Starts refreshes of stale keys in the background, so that requests need not wait. The
    /// refreshes of issuers are independent.
    pub fn refresh_stale(&self) {
        for issuer in self.issuers.values() {
            issuer.keys.refresh_stale();
        }
    }

    /// The token with its identity, if it is valid.
    ///
    /// # Errors
    /// If the token is not valid, or cannot be verified because the issuer's keys have not
    /// been read yet.
    pub async fn verify(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Arc<VerifiedToken>, TokenError> {
        let hash = TokenHash::of(token);
        if let Some(verified) = self.verified.get(&hash, now) {
            return Ok(verified);
        }
        // Boxed, so that the future stays small for a cached token.
        let verified = Arc::new(Box::pin(self.verify_signature(token, now)).await?);
        self.verified.insert(hash, &verified);
        Ok(verified)
    }

    async fn verify_signature(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<VerifiedToken, TokenError> {
        let header = jwt_header::read(token)?;
        let unproven: Claims = insecure_decode_claims(token)
            .map_err(|_| AuthRejection("token claims are incomplete or of wrong types"))?;
        let issuer = self
            .issuers
            .get(&unproven.iss)
            .ok_or(AuthRejection("token issuer is not configured"))?;
        let pinned =
            issuer.algorithms.iter().find(|pinned| library_algorithm(**pinned) == header.alg);
        let algorithm =
            *pinned.ok_or(AuthRejection("token algorithm is not configured for its issuer"))?;
        // Checked before the signature, so that an expired token causes no refresh of the
        // issuer's keys. The claims are not secret, so this reveals nothing.
        unproven.check(now)?;

        // Read before the keys are selected: if the key set changes later, the cached result
        // becomes invalid.
        let keys_version = issuer.keys.version();
        let validation = validation(&unproven.iss, &issuer.audience, algorithm);
        let mut rejection = AuthRejection("no public key of the issuer matches the token");
        let found = issuer.keys.find(header.kid.as_deref(), algorithm).await;
        for known in found.map_err(TokenError::NoKeys)? {
            match decode::<Claims>(token, &known.key, &validation) {
                Ok(token) => {
                    let (times, keys) = (token.claims.times(), Arc::clone(&issuer.keys));
                    let identity = issuer.identity(token.claims);
                    return Ok(VerifiedToken::new(identity, times, keys, keys_version));
                }
                Err(error) => rejection = rejection_of(error.kind()),
            }
        }
        Err(rejection.into())
    }
}

impl JwtIssuer {
    fn identity(&self, claims: Claims) -> Identity {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Identity {
            // A malformed address counts as missing.
            email: claims.email.as_str().and_then(|email| email.parse().ok()),
            email_verified: self.is_verified(&claims.email_verified, &claims.iss),
            name: text(&claims.name),
            picture: text(&claims.picture),
            issuer: claims.iss,
            subject: claims.sub,
        }
    }

    /// Accepts only the boolean of OpenID Connect, and the text "true" if the settings allow
    /// it for this issuer: some issuers write "true" for unverified addresses.
    fn is_verified(&self, claim: &Value, issuer: &str) -> bool {
        let Some(text) = claim.as_str() else { return *claim == Value::Bool(true) };
        let is_true = text.eq_ignore_ascii_case("true");
        if self.email_verified_as_text {
            return is_true;
        }
        if is_true && !self.has_logged_text.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                issuer,
                "the claim email_verified is the text \"true\", not a boolean: the addresses of \
                 these tokens count as unverified; if the issuer does verify them, set \
                 email_verified_as_text = true for it"
            );
        }
        false
    }
}

impl From<AuthRejection> for TokenError {
    fn from(rejection: AuthRejection) -> Self {
        TokenError::Rejected(rejection)
    }
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Rejected(rejection) => rejection.into(),
            TokenError::NoKeys(NeverRead { retry_after }) => Error::new(
                Kind::Unavailable,
                "the token cannot be verified, since its issuer's public keys could not be read \
                 yet; try again later",
            )
            .with_retry_after(retry_after),
        }
    }
}

/// The checks of the library in addition to the signature.
fn validation(issuer: &str, audience: &str, algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(library_algorithm(algorithm));
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
    // `Claims::check` does this: the library would use the system clock.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

fn rejection_of(error: &ErrorKind) -> AuthRejection {
    AuthRejection(match error {
        ErrorKind::InvalidSignature => "token signature does not match",
        ErrorKind::InvalidAudience => "token is for another audience",
        ErrorKind::MissingRequiredClaim(_) => "token claims are incomplete or of wrong types",
        _ => "token cannot be checked",
    })
}

impl Claims {
    fn times(&self) -> Times {
        Times { exp: self.exp, nbf: self.nbf }
    }

    fn check(&self, now: Timestamp) -> Result<(), AuthRejection> {
        self.times().check(now)?;
        let sane = |text: &str| {
            (1..=MAX_SUBJECT_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
        };
        if !sane(&self.sub) {
            return Err(AuthRejection("token subject is empty or too long"));
        }
        Ok(())
    }
}
