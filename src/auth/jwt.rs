//! JSON Web Tokens (RFC 7519) of the configured issuers, checked as RFC 8725 asks.
//!
//! A token is taken if its `iss` is a configured issuer, its `alg` is one that
//! issuer is pinned to, its signature is by one of that issuer's keys, `aud` holds
//! the configured audience, `exp` is there and not past and `nbf`, if there, not to
//! come, with 60 seconds of leeway.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::accounts::Identity;
use super::issuers::Issuers;
use super::jwks::KeySet;
use super::jws::Jws;
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
    aud: Audience,
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

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
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
        let jws = Jws::parse(token)?;
        let claims: Claims = serde_json::from_slice(&jws.payload)
            .map_err(|_| Refusal("token claims are incomplete or of wrong types"))?;
        let issuer = self
            .issuers
            .get(&claims.iss)
            .ok_or(Refusal("token is of an issuer that is not configured"))?;
        if !issuer.algorithms.contains(&jws.algorithm) {
            return Err(Refusal("token algorithm is not one its issuer is pinned to"));
        }
        // Cheap and without secrets, so it may come before the signature: an old
        // token costs no look at the issuer's keys.
        claims.check(&issuer.audience, now)?;
        let keys = issuer.keys.find(jws.key_id.as_deref(), jws.algorithm).await;
        if keys.is_empty() {
            return Err(Refusal("no key of the issuer is known that could have signed the token"));
        }
        let signed = |message: &[u8]| {
            keys.iter().any(|key| key.verifies(jws.algorithm, message, &jws.signature))
        };
        if !signed(jws.signed.as_bytes()) {
            return Err(Refusal("token signature does not match"));
        }
        Ok(claims.into())
    }
}

impl Claims {
    fn check(&self, audience: &str, now: Timestamp) -> Result<(), Refusal> {
        let meant_for_us = match &self.aud {
            Audience::One(one) => one == audience,
            Audience::Several(several) => several.iter().any(|one| one == audience),
        };
        if !meant_for_us {
            return Err(Refusal("token is for another audience"));
        }
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
