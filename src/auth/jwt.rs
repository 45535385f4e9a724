//! JSON Web Tokens (RFC 7519) of the configured issuers, checked as RFC 8725 asks.
//!
//! A token is taken if its `iss` is a configured issuer, its `alg` is one that
//! issuer is pinned to, its signature is by one of that issuer's keys, `aud` holds
//! the configured audience, `exp` is there and not past and `nbf`, if there, not to
//! come, with 60 seconds of leeway. The library checks all of it but the time,
//! which is that of the service's clock.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode};
use serde::Deserialize;
use serde_json::Value;

use super::identity::Identity;
use super::issuers::Issuers;
use super::jwk::library;
use super::jwks::{KeySet, NeverRead};
use super::jwks_source::BoxError;
use super::jwt_header;
use super::refusal::Refusal;
use crate::clock::Clock;
use crate::config::{Algorithm, JwksSource, Trust};
use crate::domain::Timestamp;
use crate::error::{Error, Kind, Result, chain};

/// How far the clocks of issuer and service may be apart.
const LEEWAY: Duration = Duration::from_secs(60);
const MAX_SUBJECT: usize = 255;

/// Checks the tokens of all issuers of kind `jwt`.
pub struct JwtVerifier {
    issuers: HashMap<String, JwtIssuer>,
}

struct JwtIssuer {
    audience: String,
    algorithms: Vec<Algorithm>,
    email_verified_as_text: bool,
    keys: Arc<KeySet>,
    /// Whether the log has been told that `email_verified` is a text.
    told_of_text: AtomicBool,
}

/// Why a token was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// It is not good.
    Refused(Refusal),
    /// Whether it is good is not known.
    Unknown(NeverRead),
}

/// The claims of RFC 7519 §4.1 and OpenID Connect Core §5.1 that are looked at.
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
    /// Makes ready to check tokens. Key files are read; addresses are asked
    /// later, since a start must not wait for another service.
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
                told_of_text: AtomicBool::new(false),
            };
            by_name.insert(issuer.issuer.clone(), issuer_of_tokens);
        }
        Ok(Self { issuers: by_name })
    }

    /// Begins to read the keys that were never read or have reached their age, so
    /// that no token need wait. An issuer whose endpoint hangs holds up no other.
    pub fn refresh_aged(&self) {
        for issuer in self.issuers.values() {
            issuer.keys.refresh_aged();
        }
    }

    /// Who the bearer of a token is.
    ///
    /// # Errors
    /// If the token is not good, or cannot be checked for want of its issuer's keys.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Identity, NotTaken> {
        let header = jwt_header::read(token)?;
        let unproven: Claims = insecure_decode_claims(token)
            .map_err(|_| Refusal("token claims are incomplete or of wrong types"))?;
        let issuer = self
            .issuers
            .get(&unproven.iss)
            .ok_or(Refusal("token is of an issuer that is not configured"))?;
        let pinned = issuer.algorithms.iter().find(|pinned| library(**pinned) == header.alg);
        let algorithm =
            *pinned.ok_or(Refusal("token algorithm is not one its issuer is pinned to"))?;
        // Cheap and without secrets, so it may come before the signature: an old
        // token costs no look at the issuer's keys.
        unproven.check(now)?;

        let validation = validation(&unproven.iss, &issuer.audience, algorithm);
        let mut refusal = Refusal("no key of the issuer is known that could have signed the token");
        let found = issuer.keys.find(header.kid.as_deref(), algorithm).await;
        for known in found.map_err(NotTaken::Unknown)? {
            match decode::<Claims>(token, &known.key, &validation) {
                Ok(token) => return Ok(issuer.identity(token.claims)),
                Err(error) => refusal = why(error.kind()),
            }
        }
        Err(refusal.into())
    }
}

impl JwtIssuer {
    fn identity(&self, claims: Claims) -> Identity {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Identity {
            // An address that is none counts as missing.
            email: claims.email.as_str().and_then(|email| email.parse().ok()),
            email_verified: self.is_verified(&claims.email_verified, &claims.iss),
            name: text(&claims.name),
            picture: text(&claims.picture),
            issuer: claims.iss,
            subject: claims.sub,
        }
    }

    /// Only the boolean of OpenID Connect, unless the settings say that this issuer
    /// writes it as a text: others write "true" where nothing was verified.
    fn is_verified(&self, claim: &Value, issuer: &str) -> bool {
        let Some(text) = claim.as_str() else { return *claim == Value::Bool(true) };
        let says_true = text.eq_ignore_ascii_case("true");
        if self.email_verified_as_text {
            return says_true;
        }
        if says_true && !self.told_of_text.swap(true, Ordering::Relaxed) {
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

impl From<Refusal> for NotTaken {
    fn from(refusal: Refusal) -> Self {
        NotTaken::Refused(refusal)
    }
}

impl From<NotTaken> for Error {
    fn from(why: NotTaken) -> Self {
        match why {
            NotTaken::Refused(refusal) => refusal.into(),
            NotTaken::Unknown(NeverRead { retry_after }) => Error::new(
                Kind::Unavailable,
                "the token cannot be checked, since its issuer's public keys could not be read yet; \
                 try again",
            )
            .with_retry_after(retry_after),
        }
    }
}

/// What the library checks besides the signature.
fn validation(issuer: &str, audience: &str, algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(library(algorithm));
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
    // The library would ask the machine's clock: see `Claims::check`.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

fn why(error: &ErrorKind) -> Refusal {
    Refusal(match error {
        ErrorKind::InvalidSignature => "token signature does not match",
        ErrorKind::InvalidAudience => "token is for another audience",
        ErrorKind::MissingRequiredClaim(_) => "token claims are incomplete or of wrong types",
        _ => "token cannot be checked",
    })
}

impl Claims {
    fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        // NumericDate may have a fraction; a double holds today's seconds exactly
        // enough.
        #[allow(clippy::cast_precision_loss)]
        let now = now.as_micros() as f64 / 1e6;
        let leeway = LEEWAY.as_secs_f64();
        if now >= self.exp + leeway {
            return Err(Refusal("token is expired"));
        }
        if self.nbf.is_some_and(|nbf| now + leeway < nbf) {
            return Err(Refusal("token is not valid yet"));
        }
        let sane = |text: &str| {
            (1..=MAX_SUBJECT).contains(&text.len()) && !text.chars().any(char::is_control)
        };
        if !sane(&self.sub) {
            return Err(Refusal("token subject is empty or too long"));
        }
        Ok(())
    }
}
