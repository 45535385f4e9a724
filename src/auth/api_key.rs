//! Authentication with API keys: `Bearer gl_…` or HTTP Basic (RFC 7617).

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::rejection::AuthRejection;
use crate::domain::{ApiKey, ApiKeySecret, SecretHash, Timestamp};

/// The hash that a presented secret is compared with if the key id is unknown, so that an
/// unknown id takes as long as a wrong secret. No input with this hash is known.
static NO_KEY: LazyLock<SecretHash> = LazyLock::new(|| SecretHash::from([0; 32]));

/// Parses the value of `Authorization: Basic` without the scheme: a key's id and secret.
pub(super) fn parse_basic(encoded: &str) -> Result<ApiKeySecret, AuthRejection> {
    const NOT_A_KEY: AuthRejection = AuthRejection("Basic credential is not an API key");
    let decoded = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| NOT_A_KEY)?);
    let text = std::str::from_utf8(&decoded).map_err(|_| NOT_A_KEY)?;
    let (user, password) = text.split_once(':').ok_or(NOT_A_KEY)?;
    ApiKeySecret::from_basic(user, password).map_err(|_| NOT_A_KEY)
}

/// Compares the presented key with the stored one in constant time, and checks that it is
/// neither revoked nor expired.
pub(super) fn verify(
    presented: &ApiKeySecret,
    stored: Option<&ApiKey>,
    now: Timestamp,
) -> Result<(), AuthRejection> {
    let expected = stored.map_or(&*NO_KEY, |key| &key.hash);
    let matches = presented.hash().matches(expected);
    match stored {
        None => Err(AuthRejection("API key is not known")),
        Some(_) if !matches => Err(AuthRejection("API key has the wrong secret")),
        Some(key) if key.revoked_at.is_some() => Err(AuthRejection("API key is revoked")),
        Some(key) if !key.is_valid(now) => Err(AuthRejection("API key is expired")),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_basic_credentials() {
        let key = ApiKeySecret::generate().unwrap();
        let whole = key.expose();
        let (_, secret) = whole[3..].split_once('_').unwrap();
        for pair in [
            format!("{}:{secret}", key.id()),
            format!("gl_{}:{secret}", key.id()),
            format!(":{}", whole.as_str()),
        ] {
            let parsed = parse_basic(&STANDARD.encode(pair)).unwrap();
            assert!(parsed.hash().matches(&key.hash()));
        }
        for wrong in
            ["", "====", "YQ==", &STANDARD.encode("user:password"), &STANDARD.encode([0xff])]
        {
            assert!(parse_basic(wrong).is_err(), "{wrong}");
        }
    }
}
