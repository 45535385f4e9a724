//! An OpenID provider: its description, and the exchange of a code or refresh token for tokens.
//!
//! The service's HTTP client and serde suffice for these two small requests. The crates for OpenID
//! Connect verify tokens in their own ways and need further crates for cryptography; here
//! [`jwt`](super::jwt) verifies a token like the token of any request.

use std::sync::Arc;
use std::time::Duration;

use http::header::ACCEPT;
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::fetch::{self, BoxError};
use crate::config::{SignIn, is_protected};

/// A description of this age is read again.
const MAX_AGE: Duration = Duration::from_secs(600);
/// The pause after a failed attempt to read the description.
const PAUSE: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 256 * 1024;
const MAX_SECRET_BYTES: usize = 4096;

/// The part of a provider's description (OpenID Connect Discovery 1.0 §3) that is used.
#[derive(Debug, Deserialize)]
pub struct Description {
    issuer: String,
    #[serde(deserialize_with = "url")]
    pub authorization_endpoint: Url,
    #[serde(deserialize_with = "url")]
    token_endpoint: Url,
    #[serde(default = "default_methods")]
    token_endpoint_auth_methods_supported: Vec<String>,
    /// RFC 9207: the provider sends the parameter `iss` with each code.
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    Url::parse(&text).map_err(serde::de::Error::custom)
}

fn default_methods() -> Vec<String> {
    vec!["client_secret_basic".to_owned()]
}

/// The tokens that the provider returns for a code or a refresh token.
#[derive(Deserialize)]
pub struct Tokens {
    pub access_token: Option<SecretString>,
    pub id_token: Option<SecretString>,
    pub refresh_token: Option<SecretString>,
}

/// The reason why an exchange has no tokens as its result.
#[derive(Debug)]
pub enum ExchangeError {
    /// The provider rejects the code or refresh token.
    Refused,
    /// Any other cause, for the log.
    Failed(BoxError),
}

pub struct Provider {
    issuer: String,
    pub settings: SignIn,
    client: Client,
    known: Mutex<Known>,
}

/// The cached description, and the time of the next attempt to read it.
#[derive(Default)]
struct Known {
    description: Option<Arc<Description>>,
    /// The earliest time of the next attempt; `None` before the first one.
    next: Option<Instant>,
}

impl Provider {
    /// # Errors
    /// If the issuer is not a URL, or the system's root certificates cannot be used.
    pub fn new(issuer: &str, settings: &SignIn) -> Result<Self, BoxError> {
        let client = fetch::client(&Url::parse(issuer)?)?;
        Ok(Self {
            issuer: issuer.to_owned(),
            settings: settings.clone(),
            client,
            known: Mutex::default(),
        })
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The description. It is read again after ten minutes, or after five seconds if the last
    /// attempt failed; until a read succeeds, the last one stays in use. Concurrent callers share
    /// one request.
    ///
    /// # Errors
    /// If it has never been read.
    pub async fn description(&self) -> Result<Arc<Description>, BoxError> {
        let mut known = self.known.lock().await;
        if known.next.is_none_or(|next| next <= Instant::now()) {
            let read = self.read_description().await;
            let pause = if read.is_ok() { MAX_AGE } else { PAUSE };
            known.next = Some(Instant::now() + pause);
            match read {
                Ok(description) => known.description = Some(Arc::new(description)),
                Err(cause) => tracing::warn!(
                    issuer = self.issuer,
                    cause = %crate::error::chain(&*cause),
                    "the description of an issuer with sign_in cannot be read; trying again with \
                     the next person that signs in"
                ),
            }
        }
        known.description.clone().ok_or_else(|| "its description cannot be read".into())
    }

    async fn read_description(&self) -> Result<Description, BoxError> {
        let base = self.issuer.trim_end_matches('/');
        let url = Url::parse(&format!("{base}/.well-known/openid-configuration"))?;
        let request = self.client.get(url).header(ACCEPT, "application/json");
        let response = request.send().await.map_err(fetch::plain)?;
        if response.status() != http::StatusCode::OK {
            return Err(format!("the issuer returned {}", response.status()).into());
        }
        let text = fetch::body(response, MAX_BYTES).await?;
        let description: Description = serde_json::from_slice(&text)?;
        if description.issuer != self.issuer {
            return Err("it is the description of another issuer".into());
        }
        let endpoints = [&description.authorization_endpoint, &description.token_endpoint];
        if !endpoints.into_iter().all(is_protected) {
            return Err("an endpoint does not begin with https://".into());
        }
        Ok(description)
    }

    /// Exchanges a code (RFC 6749 §4.1.3, RFC 7636 §4.5).
    pub async fn exchange(
        &self,
        description: &Description,
        code: &str,
        code_verifier: &str,
        redirect_uri: &str,
    ) -> Result<Tokens, ExchangeError> {
        let form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", code_verifier),
        ];
        self.tokens(description, form).await
    }

    /// Exchanges a refresh token (RFC 6749 §6).
    pub async fn refresh(
        &self,
        description: &Description,
        refresh_token: &str,
    ) -> Result<Tokens, ExchangeError> {
        let form = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        self.tokens(description, form).await
    }

    async fn tokens<'a>(
        &'a self,
        description: &Description,
        mut form: Vec<(&str, &'a str)>,
    ) -> Result<Tokens, ExchangeError> {
        if let Some(resource) = &self.settings.resource {
            form.push(("resource", resource));
        }
        let secret = self.client_secret().await.map_err(ExchangeError::Failed)?;
        let client_id = self.settings.client_id.as_str();
        let methods = &description.token_endpoint_auth_methods_supported;
        let basic = methods.iter().any(|method| method == "client_secret_basic");
        let mut request = self.client.post(description.token_endpoint.clone());
        match &secret {
            Some(secret) if basic => {
                let secret = form_encoded(secret.expose_secret());
                request = request.basic_auth(form_encoded(client_id), Some(secret));
            }
            secret => {
                form.push(("client_id", client_id));
                form.extend(secret.iter().map(|it| ("client_secret", it.expose_secret())));
            }
        }
        let request = request.form(&form).header(ACCEPT, "application/json");
        let response =
            request.send().await.map_err(|error| ExchangeError::Failed(fetch::plain(error)))?;
        let status = response.status();
        let text = fetch::body(response, MAX_BYTES).await.map_err(ExchangeError::Failed)?;
        if status.is_success() {
            // The error of serde_json could quote a token.
            return serde_json::from_slice(&text)
                .map_err(|_| ExchangeError::Failed("the issuer's response has no tokens".into()));
        }
        let error = error_code(&text);
        if error == "invalid_grant" {
            return Err(ExchangeError::Refused);
        }
        let cause = format!("the issuer's token endpoint returned {status}, error `{error}`");
        Err(ExchangeError::Failed(cause.into()))
    }

    /// Reads the file at each use, so that a new secret needs no restart.
    pub async fn client_secret(&self) -> Result<Option<SecretString>, BoxError> {
        let Some(path) = &self.settings.client_secret_file else { return Ok(None) };
        let text = tokio::fs::read_to_string(path).await.map_err(|cause| {
            format!("the client's secret cannot be read from {}: {cause}", path.display())
        })?;
        let secret = text.trim();
        if secret.is_empty() || secret.len() > MAX_SECRET_BYTES {
            return Err(format!("{} does not contain a client's secret", path.display()).into());
        }
        Ok(Some(secret.into()))
    }
}

/// The error code of RFC 6749 §5.2. For any other text, which could contain the authorization
/// code, it is empty.
fn error_code(text: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let refusal: Option<Refusal> = serde_json::from_slice(text).ok();
    let is_code =
        |code: &str| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    refusal.map(|it| it.error).filter(|code| is_code(code)).unwrap_or_default()
}

/// Encodes a text for Basic credentials, as RFC 6749 §2.3.1 requires.
fn form_encoded(text: &str) -> String {
    let mut url = Url::parse("http://localhost").ok();
    if let Some(url) = &mut url {
        url.query_pairs_mut().append_key_only(text);
    }
    url.and_then(|url| url.query().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_form_encoded() {
        assert_eq!(form_encoded("a b:c+d/é"), "a+b%3Ac%2Bd%2F%C3%A9");
    }

    #[test]
    fn an_error_is_logged_only_if_it_is_a_code() {
        assert_eq!(error_code(br#"{"error": "invalid_client"}"#), "invalid_client");
        for other in [r#"{"error": "The code X1 is wrong"}"#, r#"{"error": 1}"#, "<html>"] {
            assert_eq!(error_code(other.as_bytes()), "", "{other}");
        }
    }
}
