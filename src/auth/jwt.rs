//! JSON Web Tokens (RFC 7519) of the configured issuers, checked as RFC 8725 asks.
//!
//! A token is taken if its `iss` is a configured issuer, its `alg` is one that
//! issuer is pinned to, its signature is by one of that issuer's keys, `aud` holds
//! the configured audience, `exp` is there and not past and `nbf`, if there, not to
//! come, with 60 seconds of leeway. The library checks all of it but the time,
//! which is that of the service's clock.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode};
use serde::Deserialize;
use serde_json::Value;

use super::accounts::Identity;
use super::issuers::Issuers;
use super::jwk::library;
use super::jwks::KeySet;
use super::jwt_header;
use super::refusal::Refusal;
use crate::clock::Clock;
use crate::config::{Algorithm, JwksSource, Trust};
use crate::domain::Timestamp;
use crate::error::{Error, Result};

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
    keys: Arc<KeySet>,
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
            let Trust::Jwt { audience, algorithms, jwks, .. } = &issuer.trust else {
                continue;
            };
            let wrong = |what: String, cause: Box<dyn std::error::Error + Send + Sync>| {
                Error::invalid("issuers", format!("issuer `{}`: {what}: {cause}", issuer.issuer))
            };
            let keys = KeySet::new(&issuer.issuer, jwks, Arc::clone(clock))
                .map_err(|cause| wrong("public keys cannot be fetched".into(), cause))?;
            if let JwksSource::File(path) = jwks {
                let what = || format!("its public keys cannot be read from {}", path.display());
                keys.read().await.map_err(|cause| wrong(what(), cause))?;
            }
            let (audience, algorithms) = (audience.clone(), algorithms.clone());
            by_name.insert(issuer.issuer.clone(), JwtIssuer { audience, algorithms, keys });
        }
        Ok(Self { issuers: by_name })
    }

    /// Fetches the keys of every issuer, so that the first token need not wait.
    pub async fn warm_up(&self) {
        for issuer in self.issuers.values() {
            issuer.keys.refresh().await;
        }
    }

    /// Who the bearer of a token is.
    ///
    /// # Errors
    /// If the token is not to be taken.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Identity, Refusal> {
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
        for known in issuer.keys.find(header.kid.as_deref(), algorithm).await {
            match decode::<Claims>(token, &known.key, &validation) {
                Ok(token) => return Ok(token.claims.into()),
                Err(error) => refusal = why(error.kind()),
            }
        }
        Err(refusal)
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

impl From<Claims> for Identity {
    fn from(claims: Claims) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            // An address that is none counts as missing.
            email: claims.email.as_str().and_then(|email| email.parse().ok()),
            // Only the boolean of OpenID Connect: not "true", which some issuers
            // also write where nothing was verified.
            email_verified: claims.email_verified == Value::Bool(true),
            name: text(&claims.name),
            picture: text(&claims.picture),
            issuer: claims.iss,
            subject: claims.sub,
        }
    }
}
