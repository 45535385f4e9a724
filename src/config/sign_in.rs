//! `sign_in` of an issuer: people can sign in with this issuer on the service's pages.

use std::path::PathBuf;

use reqwest::Url;
use serde::Deserialize;

use super::protected::is_protected;

const OPENID: &str = "openid";
const MAX_NAME: usize = 64;
const MAX_ISSUER: usize = 512;

/// This service as a client of an OpenID provider. Deserialization rejects settings that cannot
/// work.
#[derive(Debug, Clone)]
pub struct SignIn {
    pub client_id: String,
    /// A file with the client's secret; `None` for a public client.
    pub client_secret_file: Option<PathBuf>,
    pub scopes: Vec<String>,
    /// The name of the issuer that people see.
    pub name: String,
    pub token: SignInToken,
    /// The service that the access token is for (RFC 8707).
    pub resource: Option<String>,
    /// The same, for providers with a parameter `audience`.
    pub audience: Option<String>,
}

/// The token that pages send to this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignInToken {
    /// The ID token of OpenID Connect.
    #[default]
    Id,
    /// The access token, which must be a JSON Web Token (RFC 9068).
    Access,
}

/// `sign_in` before validation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { client_id = \"…\", name = \"…\" }")]
pub(super) struct Entry {
    client_id: String,
    client_secret_file: Option<PathBuf>,
    scopes: Option<Vec<String>>,
    name: String,
    #[serde(default)]
    token: SignInToken,
    resource: Option<String>,
    audience: Option<String>,
}

pub(super) fn parse(entry: Entry, issuer: &str, audience: &str) -> Result<SignIn, String> {
    if !Url::parse(issuer).is_ok_and(|url| is_protected(&url)) || issuer.len() > MAX_ISSUER {
        return Err("`sign_in` needs an issuer that is a URL with https:// (http:// only on this \
                    machine): its description is read from there"
            .into());
    }
    if entry.client_id.is_empty() || entry.client_id.chars().any(char::is_control) {
        return Err("`sign_in.client_id` must be the client id that the issuer has given".into());
    }
    let name = entry.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(format!(
            "`sign_in.name` must be a name for people, of at most {MAX_NAME} characters"
        ));
    }
    let scopes =
        entry.scopes.unwrap_or_else(|| [OPENID, "email", "profile"].map(Into::into).into());
    let is_scope = |scope: &String| {
        !scope.is_empty() && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
    };
    if !scopes.iter().all(is_scope) {
        return Err("`sign_in.scopes` must be a list of scopes without spaces".into());
    }
    if entry.token == SignInToken::Id {
        if !scopes.iter().any(|scope| scope == OPENID) {
            return Err("`sign_in.scopes` needs \"openid\": without it there is no ID token".into());
        }
        if entry.client_id != audience {
            return Err(
                "`sign_in` uses the ID token, whose audience is the client: set `audience` \
                        to `sign_in.client_id`, or `sign_in.token` to \"access\""
                    .into(),
            );
        }
    }
    Ok(SignIn {
        client_id: entry.client_id,
        client_secret_file: entry.client_secret_file,
        scopes,
        name,
        token: entry.token,
        resource: entry.resource,
        audience: entry.audience,
    })
}
