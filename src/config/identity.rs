//! Who may vouch for callers.

use std::path::PathBuf;

use serde::Deserialize;

use crate::domain::LoginProviderKind;

/// One entry of `[[issuers]]`: somebody who vouches for people.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// The exact `iss` of its tokens, or the name a service gives to
    /// `ResolveAccount`.
    pub issuer: String,
    /// Whether it signs tokens itself or an internal service speaks for it.
    #[serde(default)]
    pub kind: IssuerKind,
    /// `aud` that its tokens must carry (kind `jwt`).
    pub audience: Option<String>,
    /// The signature algorithms it uses, such as `["RS256"]` (kind `jwt`).
    #[serde(default)]
    pub algorithms: Vec<String>,
    /// File of its public keys, a JWK set (kind `jwt`; or `jwks_url`).
    pub jwks_file: Option<PathBuf>,
    /// URL of its public keys, a JWK set (kind `jwt`; or `jwks_file`).
    pub jwks_url: Option<String>,
    /// How members see the sign-in, such as `google`.
    pub login_provider: String,
    /// The kind of sign-in that members are filtered by.
    #[serde(default)]
    pub login_provider_kind: LoginProviderKind,
    /// The mail domains this issuer may vouch for, or `["*"]`. Outside them an
    /// address counts as unverified, whatever the issuer says.
    pub verified_email_domains: Vec<String>,
    /// Organizations whose single sign-on this issuer is.
    #[serde(default)]
    pub sso_organizations: Vec<uuid::Uuid>,
}

/// How an issuer vouches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IssuerKind {
    /// With signed JSON Web Tokens.
    #[default]
    Jwt,
    /// Through an internal service that calls `ResolveAccount`.
    Service,
}
