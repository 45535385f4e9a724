//! Who may vouch for callers. An issuer that is only half configured cannot be
//! expressed by these types: it is refused while it is read.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use reqwest::Url;
use serde::Deserialize;

use crate::domain::{EmailDomain, LOCAL_ISSUER, LoginProviderKind, OrganizationId};

/// One entry of `[[issuers]]`: somebody who vouches for people.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Entry")]
pub struct Issuer {
    /// The exact `iss` of its tokens, or the name a service gives to
    /// `ResolveAccount`. Never [`LOCAL_ISSUER`].
    pub issuer: String,
    /// How it vouches.
    pub trust: Trust,
    /// How members see the sign-in, such as `google`.
    pub login_provider: String,
    /// The kind of sign-in that members are filtered by.
    pub login_provider_kind: LoginProviderKind,
    /// The mail domains this issuer may vouch for.
    pub verified_email_domains: VouchedDomains,
}

/// How an issuer vouches.
#[derive(Debug, Clone)]
pub enum Trust {
    /// With signed JSON Web Tokens (RFC 7519).
    Jwt {
        /// `aud` that its tokens must carry.
        audience: String,
        /// The signature algorithms it uses; at least one.
        algorithms: Vec<Algorithm>,
        /// Where its public keys are.
        jwks: JwksSource,
        /// Whether its tokens say `"email_verified": "true"` as a text.
        email_verified_as_text: bool,
        /// Organizations whose single sign-on this issuer is.
        sso_organizations: Vec<OrganizationId>,
    },
    /// Through an internal service that calls `ResolveAccount`.
    Service,
}

/// Where a JWK set (RFC 7517) is read from.
#[derive(Debug, Clone)]
pub enum JwksSource {
    /// A file on this machine.
    File(PathBuf),
    /// An `https` address, or an `http` one on this machine.
    Url(Url),
}

/// A signature algorithm of RFC 7518 or RFC 8037 that an issuer can be pinned to:
/// asymmetric ones only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
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

/// The mail domains an issuer may vouch for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VouchedDomains {
    /// Every one: `["*"]`.
    All,
    /// These exactly, without their subdomains.
    These(BTreeSet<EmailDomain>),
}

impl VouchedDomains {
    /// Whether this domain is among them.
    pub fn include(&self, domain: &EmailDomain) -> bool {
        match self {
            VouchedDomains::All => true,
            VouchedDomains::These(domains) => domains.contains(domain),
        }
    }
}

impl Algorithm {
    /// Every one that is supported.
    pub const ALL: [Algorithm; 9] = [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ];

    /// Its name as the `alg` of a token, where case counts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Rs512 => "RS512",
            Algorithm::Ps256 => "PS256",
            Algorithm::Ps384 => "PS384",
            Algorithm::Ps512 => "PS512",
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::EdDsa => "EdDSA",
        }
    }
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
                "algorithm `{text}` is refused: whoever can check such a signature can make one; \
                 use one of {}",
                known()
            ),
            "NONE" => format!(
                "algorithm `{text}` is refused: such tokens are not signed; use one of {}",
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

/// An issuer as it is written.
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
        return Err("`issuer` must be a text without spaces, exactly as it names itself".into());
    }
    if entry.issuer.eq_ignore_ascii_case(LOCAL_ISSUER) {
        return Err("this name is kept for the accounts made here; choose another".into());
    }
    let login_provider = entry
        .login_provider
        .filter(|name| !name.trim().is_empty())
        .ok_or("`login_provider` is missing; say how the sign-in is called, such as \"google\"")?;
    let verified_email_domains = parse_domains(entry.verified_email_domains)?;
    let trust = match entry.kind {
        Kind::Jwt => Trust::Jwt {
            audience: entry.audience.filter(|audience| !audience.is_empty()).ok_or(
                "`audience` is missing; without it, tokens made for others would be taken",
            )?,
            algorithms: parse_algorithms(entry.algorithms)?,
            jwks: parse_jwks(entry.jwks_file, entry.jwks_url)?,
            email_verified_as_text: entry.email_verified_as_text.unwrap_or(false),
            sso_organizations: parse_organizations(entry.sso_organizations)?,
        },
        Kind::Service => {
            let surplus = [
                ("audience", entry.audience.is_some()),
                ("algorithms", entry.algorithms.is_some()),
                ("jwks_file", entry.jwks_file.is_some()),
                ("jwks_url", entry.jwks_url.is_some()),
                ("email_verified_as_text", entry.email_verified_as_text.is_some()),
                ("sso_organizations", entry.sso_organizations.is_some()),
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

fn parse_domains(domains: Option<Vec<String>>) -> Result<VouchedDomains, String> {
    let domains = domains.ok_or(
        "`verified_email_domains` is missing; list the mail domains it may vouch for, \
         [\"*\"] for every one, or [] for none",
    )?;
    if domains == ["*"] {
        return Ok(VouchedDomains::All);
    }
    domains
        .iter()
        .map(|text| {
            text.parse().map_err(|problem| {
                format!("`verified_email_domains`: `{text}` {problem}, or [\"*\"] alone for all")
            })
        })
        .collect::<Result<_, _>>()
        .map(VouchedDomains::These)
}

fn parse_algorithms(algorithms: Option<Vec<String>>) -> Result<Vec<Algorithm>, String> {
    let algorithms = algorithms.unwrap_or_default();
    if algorithms.is_empty() {
        return Err("`algorithms` is missing; name those it signs with, such as [\"RS256\"]".into());
    }
    algorithms.iter().map(|text| text.parse()).collect()
}

fn parse_jwks(file: Option<PathBuf>, url: Option<String>) -> Result<JwksSource, String> {
    match (file, url) {
        (Some(_), Some(_)) => Err("give `jwks_file` or `jwks_url`, not both".into()),
        (None, None) => Err("its public keys are missing; give `jwks_url` or `jwks_file`".into()),
        (Some(file), None) => Ok(JwksSource::File(file)),
        (None, Some(text)) => {
            let url = Url::parse(&text)
                .map_err(|problem| format!("`jwks_url` is not a web address: {problem}"))?;
            match url.scheme() {
                "https" => {}
                "http" if is_this_machine(&url) => {}
                _ => {
                    return Err(
                        "`jwks_url` must begin with https:// (http:// only on this machine), \
                         since whoever can change the keys can sign in as anybody"
                            .into(),
                    );
                }
            }
            Ok(JwksSource::Url(url))
        }
    }
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn parse_organizations(ids: Option<Vec<String>>) -> Result<Vec<OrganizationId>, String> {
    ids.unwrap_or_default()
        .iter()
        .map(|text| {
            text.parse().map_err(|problem| format!("`sso_organizations`: `{text}` {problem}"))
        })
        .collect()
}
