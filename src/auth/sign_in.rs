//! Signing in on our pages: the authorization code flow of OpenID Connect (Core 1.0 §3.1) with
//! PKCE (RFC 7636), with the issuers whose settings have `sign_in`.
//!
//! The page generates `state`, `nonce` and the code verifier, and compares `state`; everything
//! else is checked here. The redirect URI comes from the settings and never from a request.

use std::sync::Arc;

use jsonwebtoken::dangerous::insecure_decode_claims;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Authenticator;
use super::provider::{ExchangeError, Provider, Tokens};
use crate::config::{Issuer, SignInToken, Trust};
use crate::error::{Error, Kind, Result, chain, reason};

/// The path of the page to which issuers redirect the browser.
const RETURN_PAGE: &str = "/sign-in";
/// The longest token: a longer one does not fit into the head of a request.
const MAX_TOKEN_BYTES: usize = 16_384;
/// The longest token that can be renewed, and the longest refresh token: both fit into a request
/// without a credential.
pub const MAX_RENEWED_BYTES: usize = 8192;
pub const MAX_REFRESH_BYTES: usize = 4096;

/// The issuers that people can sign in with.
pub struct SignIns {
    providers: Vec<Provider>,
    redirect_uri: String,
    authenticator: Arc<Authenticator>,
}

/// The input of the first step, from a page.
#[derive(Debug, Clone)]
pub struct Begin {
    pub issuer: String,
    pub state: String,
    pub nonce: String,
    pub code_challenge: String,
}

/// The URL that the browser opens next, and the URL to which the issuer then redirects it.
#[derive(Debug, Clone)]
pub struct Begun {
    pub authorization_url: String,
    pub redirect_uri: String,
}

/// The input of the second step, with the parameters of the redirect.
pub struct Finish {
    pub issuer: String,
    pub code: SecretString,
    /// The parameter `iss` of the redirect.
    pub response_issuer: Option<String>,
    pub code_verifier: SecretString,
    pub nonce: String,
}

/// A refresh token, and the token that it renews.
pub struct Renew {
    pub issuer: String,
    pub refresh_token: SecretString,
    /// It may have expired.
    pub token: SecretString,
}

/// The tokens that a page keeps for a person who is signed in.
pub struct SignedIn {
    pub token: SecretString,
    /// `None`: the token cannot be renewed. The issuer returned no refresh token, or one of the
    /// two tokens is too long.
    pub refresh_token: Option<SecretString>,
}

/// The claims of a token that bind it to a person and, in ID tokens, to one sign-in.
#[derive(Deserialize)]
struct Binding {
    iss: String,
    sub: String,
    nonce: Option<String>,
}

impl SignIns {
    /// `pages` is the URL of our pages, without a `/` at its end.
    ///
    /// # Errors
    /// If the system's root certificates cannot be used.
    pub fn new(issuers: &[Issuer], pages: &str, authenticator: Arc<Authenticator>) -> Result<Self> {
        let mut providers = Vec::new();
        for issuer in issuers {
            if let Trust::Jwt { sign_in: Some(settings), .. } = &issuer.trust {
                let provider = Provider::new(&issuer.issuer, settings).map_err(Error::internal)?;
                providers.push(provider);
            }
        }
        Ok(Self { providers, redirect_uri: format!("{pages}{RETURN_PAGE}"), authenticator })
    }

    /// The issuer and the name of each provider, in the order of the settings.
    pub fn providers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.providers.iter().map(|one| (one.issuer(), one.settings.name.as_str()))
    }

    fn provider(&self, issuer: &str) -> Result<&Provider> {
        self.providers.iter().find(|one| one.issuer() == issuer).ok_or_else(Error::not_found)
    }

    /// The URL of the issuer's page, with the parameters of this sign-in (RFC 6749 §4.1.1).
    pub async fn begin(&self, input: &Begin) -> Result<Begun> {
        let provider = self.provider(&input.issuer)?;
        let description = provider.description().await.map_err(unavailable)?;
        let settings = &provider.settings;
        let scope = settings.scopes.join(" ");
        let mut url = description.authorization_endpoint.clone();
        let mut query = url.query_pairs_mut();
        query.extend_pairs([
            ("response_type", "code"),
            ("client_id", &settings.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", &scope),
            ("state", &input.state),
            ("nonce", &input.nonce),
            ("code_challenge", &input.code_challenge),
            ("code_challenge_method", "S256"),
        ]);
        query.extend_pairs(settings.resource.iter().map(|it| ("resource", it)));
        query.extend_pairs(settings.audience.iter().map(|it| ("audience", it)));
        drop(query);
        Ok(Begun { authorization_url: url.into(), redirect_uri: self.redirect_uri.clone() })
    }

    /// Exchanges a code for a token, verifies it like the token of any request, and checks that
    /// the ID token, if any, contains the nonce.
    pub async fn finish(&self, input: &Finish) -> Result<SignedIn> {
        let provider = self.provider(&input.issuer)?;
        let description = provider.description().await.map_err(unavailable)?;
        // RFC 9207: an attacker may cause the person's browser to send a code of another issuer.
        let is_same = match &input.response_issuer {
            Some(issuer) => issuer == provider.issuer(),
            None => !description.authorization_response_iss_parameter_supported,
        };
        if !is_same {
            let what = "the response is not from the issuer that was asked";
            return Err(Error::precondition(reason::ISSUER_MISMATCH, what));
        }
        let (code, verifier) = (input.code.expose_secret(), input.code_verifier.expose_secret());
        let exchanged = provider.exchange(&description, code, verifier, &self.redirect_uri).await;
        let tokens = exchanged.map_err(|error| {
            let refused = "the issuer refuses the code: it is too old, was used before, or belongs \
                           to another browser";
            not_exchanged(provider, error, refused)
        })?;
        let (signed_in, _) = self.verified(provider, &tokens).await?;
        let requests_id_token = provider.settings.scopes.iter().any(|scope| scope == "openid");
        match &tokens.id_token {
            Some(id_token) => {
                let binding = binding(id_token, provider)?;
                if binding.nonce.as_deref() != Some(&input.nonce) {
                    return Err(rejected("the ID token is of another sign-in: its nonce differs"));
                }
            }
            None if requests_id_token => {
                return Err(rejected("the issuer's response has no ID token"));
            }
            None => {}
        }
        Ok(signed_in)
    }

    /// A new token of the same person (OpenID Connect Core 1.0 §12).
    pub async fn renew(&self, input: &Renew) -> Result<SignedIn> {
        let provider = self.provider(&input.issuer)?;
        let before = binding(&input.token, provider)?;
        let description = provider.description().await.map_err(unavailable)?;
        let refreshed = provider.refresh(&description, input.refresh_token.expose_secret()).await;
        let tokens = refreshed.map_err(|error| {
            let refused = "the issuer refuses the refresh token: it has ended or was used before";
            not_exchanged(provider, error, refused)
        })?;
        // Without a new refresh token, the last one stays in use.
        let refresh_token = tokens.refresh_token.or_else(|| Some(input.refresh_token.clone()));
        let tokens = Tokens { refresh_token, ..tokens };
        let (signed_in, subject) = self.verified(provider, &tokens).await?;
        if subject != before.sub {
            return Err(rejected("the new token is of another person"));
        }
        if let Some(id_token) = &tokens.id_token {
            let binding = binding(id_token, provider)?;
            let is_same = binding.nonce.is_none() || binding.nonce == before.nonce;
            if provider.settings.token == SignInToken::Id && !is_same {
                return Err(rejected("the new ID token is of another sign-in: its nonce differs"));
            }
        }
        Ok(signed_in)
    }

    /// The token that pages send, verified like the token of any request, and its subject.
    async fn verified(&self, provider: &Provider, tokens: &Tokens) -> Result<(SignedIn, String)> {
        let token = match provider.settings.token {
            SignInToken::Id => &tokens.id_token,
            SignInToken::Access => &tokens.access_token,
        };
        let token = token.as_ref();
        let token = token.ok_or_else(|| rejected("the issuer's response has no such token"))?;
        if token.expose_secret().len() > MAX_TOKEN_BYTES {
            return Err(rejected("the token is longer than 16,384 bytes"));
        }
        let identity = self.authenticator.identity(token.expose_secret()).await;
        let identity = identity.map_err(|error| match error.kind {
            Kind::Unauthenticated => {
                let cause = error.source.as_deref().map_or(String::new(), ToString::to_string);
                rejected(&cause)
            }
            _ => error,
        })?;
        if identity.issuer != provider.issuer() {
            return Err(rejected("the token is of another issuer"));
        }
        let is_short = token.expose_secret().len() <= MAX_RENEWED_BYTES;
        let refresh_token = tokens.refresh_token.clone().filter(|refresh_token| {
            is_short && refresh_token.expose_secret().len() <= MAX_REFRESH_BYTES
        });
        Ok((SignedIn { token: token.clone(), refresh_token }, identity.subject))
    }
}

/// The binding of a token of this issuer. The signature is not verified here: the token came from
/// the issuer's own endpoint over TLS (OpenID Connect Core 1.0 §3.1.3.7), or its binding can only
/// lead to more rejections.
fn binding(token: &SecretString, provider: &Provider) -> Result<Binding> {
    let binding: Binding = insecure_decode_claims(token.expose_secret())
        .map_err(|_| rejected("a token has no claims"))?;
    if binding.iss != provider.issuer() {
        return Err(rejected("a token is of another issuer"));
    }
    Ok(binding)
}

/// `refused` is the error message for a code or refresh token that the issuer rejects.
fn not_exchanged(provider: &Provider, error: ExchangeError, refused: &str) -> Error {
    match error {
        ExchangeError::Refused => Error::precondition(reason::SIGN_IN_REFUSED, refused),
        ExchangeError::Failed(cause) => {
            tracing::warn!(
                issuer = provider.issuer(),
                cause = %chain(&*cause),
                "an issuer gives no tokens; the person cannot sign in"
            );
            unavailable(cause)
        }
    }
}

/// Logs the cause; the client does not receive it.
fn rejected(cause: &str) -> Error {
    tracing::warn!(cause, "a person cannot sign in: the issuer's token is rejected");
    let what = "the issuer's token is not for this service or not for this sign-in; the log of the \
                server has the reason";
    Error::precondition(reason::TOKEN_REJECTED, what)
}

fn unavailable(cause: super::fetch::BoxError) -> Error {
    Error::new(Kind::Unavailable, "the issuer cannot be reached; try again later")
        .with_reason(reason::PROVIDER_UNAVAILABLE)
        .with_source(cause)
}
