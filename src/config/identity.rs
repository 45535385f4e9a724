//! The settings of issuers. Deserialization rejects incomplete issuers, so every value of
//! these types is complete.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use reqwest::Url;
use serde::Deserialize;

use super::protected::is_protected;
use super::sign_in::{self, SignIn};

use crate::domain::{
    ERASED_ISSUER, EmailDomain, LOCAL_ISSUER, LoginProviderKind, OrganizationId, text_enum,
};

/// One entry of `[[issuers]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Entry")]
pub struct Issuer {
    /// The exact `iss` of its tokens, or the name that a service uses in `ResolveAccount`.
    /// Never [`LOCAL_ISSUER`].
    pub issuer: String,
    pub trust: Trust,
    /// Display name of the sign-in, such as `google`.
    pub login_provider: String,
    pub login_provider_kind: LoginProviderKind,
    /// The mail domains whose addresses this issuer may verify.
    pub verified_email_domains: VerifiableDomains,
}

/// How an issuer authenticates people.
#[derive(Debug, Clone)]
pub enum Trust {
    /// By signed JSON Web Tokens (RFC 7519).
    Jwt {
        /// The required `aud` of its tokens.
        audience: String,
        /// The accepted signature algorithms; not empty.
        algorithms: Vec<Algorithm>,
        jwks: JwksSource,
        /// Accept the text `"true"` in the claim `email_verified`.
        email_verified_as_text: bool,
        /// The organizations that use this issuer as their single sign-on.
        sso_organizations: Vec<OrganizationId>,
        /// `None`: people cannot sign in with this issuer on the service's pages.
        sign_in: Option<Box<SignIn>>,
    },
    /// By an internal service that calls `ResolveAccount`.
    Service,
}

/// The source of a JWK set (RFC 7517).
#[derive(Debug, Clone)]
pub enum JwksSource {
    File(PathBuf),
    /// An `https` URL, or `http` with a loopback address.
    Url(Url),
}

/// A signature algorithm of RFC 7518 or RFC 8037. Symmetric algorithms are missing on
/// purpose: the key that verifies their signatures can also make them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

/// The mail domains whose addresses an issuer may verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifiableDomains {
    /// `["*"]`.
    All,
    /// Exactly these, not their subdomains.
    These(BTreeSet<EmailDomain>),
}

impl VerifiableDomains {
    pub fn include(&self, domain: &EmailDomain) -> bool {
        match self {
            VerifiableDomains::All => true,
            VerifiableDomains::These(domains) => domains.contains(domain),
        }
    }
}

// The names of RFC 7518 and RFC 8037 in the `alg` of a token; they are case-sensitive.
text_enum! {
    Algorithm:
        Rs256 = "RS256", Rs384 = "RS384", Rs512 = "RS512", Ps256 = "PS256", Ps384 = "PS384",
        Ps512 = "PS512", Es256 = "ES256", Es384 = "ES384", EdDsa = "EdDSA";
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Algorithm::ALL.map(Algorithm::as_str).join(", ");
        if let Some(algorithm) = Algorithm::ALL.into_iter().find(|a| a.as_str() == text) {
            return Ok(algorithm);
        }
        Err(match text.to_ascii_uppercase().as_str() {
            "HS256" | "HS384" | "HS512" => format!(
                "algorithm `{text}` is not allowed: the key that verifies its signatures can also \
                 make them; use one of {}",
                known()
            ),
            "NONE" => format!(
                "algorithm `{text}` is not allowed: such tokens are not signed; use one of {}",
                known()
            ),
            _ => format!("algorithm `{text}` is not supported; use one of {}", known()),
        })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An issuer before validation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an issuer as a table")]
struct Entry {
    issuer: String,
    #[serde(default)]
    kind: Kind,
    audience: Option<String>,
    algorithms: Option<Vec<String>>,
    jwks_file: Option<PathBuf>,
    jwks_url: Option<String>,
    login_provider: Option<String>,
    #[serde(default)]
    login_provider_kind: LoginProviderKind,
    verified_email_domains: Option<Vec<String>>,
    email_verified_as_text: Option<bool>,
    sso_organizations: Option<Vec<String>>,
    sign_in: Option<sign_in::Entry>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Jwt,
    Service,
}

impl TryFrom<Entry> for Issuer {
    type Error = String;

    fn try_from(entry: Entry) -> Result<Self, String> {
        let name = entry.issuer.clone();
        parse(entry).map_err(|problem| format!("issuer `{name}`: {problem}"))
    }
}

fn parse(entry: Entry) -> Result<Issuer, String> {
    if entry.issuer.is_empty() || entry.issuer.chars().any(|c| c.is_control() || c.is_whitespace())
    {
        return Err("`issuer` must be the exact `iss` of its tokens, without spaces".into());
    }
    for (reserved, of) in [(LOCAL_ISSUER, "local"), (ERASED_ISSUER, "erased")] {
        if entry.issuer.eq_ignore_ascii_case(reserved) {
            return Err(format!("this name is reserved for {of} accounts; choose another one"));
        }
    }
    let login_provider = entry
        .login_provider
        .filter(|name| !name.trim().is_empty())
        .ok_or("`login_provider` is missing; set the name of the sign-in, such as \"google\"")?;
    let verified_email_domains = parse_domains(entry.verified_email_domains)?;
    let trust = match entry.kind {
        Kind::Jwt => {
            let audience = entry.audience.filter(|audience| !audience.is_empty()).ok_or(
                "`audience` is missing; without it, tokens for other services would be accepted",
            )?;
            let sign_in = entry.sign_in.map(|it| sign_in::parse(it, &entry.issuer, &audience));
            Trust::Jwt {
                audience,
                algorithms: parse_algorithms(entry.algorithms)?,
                jwks: parse_jwks(entry.jwks_file, entry.jwks_url)?,
                email_verified_as_text: entry.email_verified_as_text.unwrap_or(false),
                sso_organizations: parse_organizations(entry.sso_organizations)?,
                sign_in: sign_in.transpose()?.map(Box::new),
            }
        }
        Kind::Service => {
            let surplus = [
                ("audience", entry.audience.is_some()),
                ("algorithms", entry.algorithms.is_some()),
                ("jwks_file", entry.jwks_file.is_some()),
                ("jwks_url", entry.jwks_url.is_some()),
                ("email_verified_as_text", entry.email_verified_as_text.is_some()),
                ("sso_organizations", entry.sso_organizations.is_some()),
                ("sign_in", entry.sign_in.is_some()),
            ];
            if let Some((key, _)) = surplus.into_iter().find(|(_, given)| *given) {
                return Err(format!(
                    "`{key}` belongs to kind \"jwt\"; remove it, or the line `kind = \"service\"`"
                ));
            }
            Trust::Service
        }
    };
    Ok(Issuer {
        issuer: entry.issuer,
        trust,
        login_provider,
        login_provider_kind: entry.login_provider_kind,
        verified_email_domains,
    })
}

fn parse_domains(domains: Option<Vec<String>>) -> Result<VerifiableDomains, String> {
    let domains = domains.ok_or(
        "`verified_email_domains` is missing; list the mail domains whose addresses it may \
         verify, [\"*\"] for all, or [] for none",
    )?;
    if domains == ["*"] {
        return Ok(VerifiableDomains::All);
    }
    domains
        .iter()
        .map(|text| {
            text.parse().map_err(|problem| {
                format!("`verified_email_domains`: `{text}` {problem}, or [\"*\"] alone for all")
            })
        })
        .collect::<Result<_, _>>()
        .map(VerifiableDomains::These)
}

fn parse_algorithms(algorithms: Option<Vec<String>>) -> Result<Vec<Algorithm>, String> {
    let algorithms = algorithms.unwrap_or_default();
    if algorithms.is_empty() {
        return Err(
            "`algorithms` is missing; list its signature algorithms, such as [\"RS256\"]".into()
        );
    }
    algorithms.iter().map(|text| text.parse()).collect()
}

fn parse_jwks(file: Option<PathBuf>, url: Option<String>) -> Result<JwksSource, String> {
    match (file, url) {
        (Some(_), Some(_)) => Err("set `jwks_file` or `jwks_url`, not both".into()),
        (None, None) => Err("its public keys are missing; set `jwks_url` or `jwks_file`".into()),
        (Some(file), None) => Ok(JwksSource::File(file)),
        (None, Some(text)) => {
            let url = Url::parse(&text)
                .map_err(|problem| format!("`jwks_url` is not a URL: {problem}"))?;
            if !is_protected(&url) {
                return Err("`jwks_url` must begin with https:// (http:// only on this machine): \
                            an attacker that can replace the keys can sign in as any person"
                    .into());
            }
            Ok(JwksSource::Url(url))
        }
    }
}

fn parse_organizations(ids: Option<Vec<String>>) -> Result<Vec<OrganizationId>, String> {
    ids.unwrap_or_default()
        .iter()
        .map(|text| {
            text.parse().map_err(|problem| format!("`sso_organizations`: `{text}` {problem}"))
        })
        .collect()
}
