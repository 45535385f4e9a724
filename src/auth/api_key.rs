//! API keys, shown as `Bearer gl_…` or as HTTP Basic (RFC 7617).

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::refusal::Refusal;
use crate::domain::{ApiKey, ApiKeySecret, SecretHash, Timestamp};

/// What unknown keys are compared with, so that an unknown id takes as long as a
/// wrong secret. Nothing is known that hashes to it.
static NO_KEY: LazyLock<SecretHash> = LazyLock::new(|| SecretHash::from([0; 32]));

/// Reads the part of `Authorization: Basic` after the scheme: the key's id and
/// its secret.
pub(super) fn parse_basic(encoded: &str) -> Result<ApiKeySecret, Refusal> {
    const NOT_A_KEY: Refusal = Refusal("Basic credential is not an API key");
    let decoded = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| NOT_A_KEY)?);
    let text = std::str::from_utf8(&decoded).map_err(|_| NOT_A_KEY)?;
    let (user, password) = text.split_once(':').ok_or(NOT_A_KEY)?;
    ApiKeySecret::from_basic(user, password).map_err(|_| NOT_A_KEY)
}

/// Whether what was shown is the key that `stored` holds, and may be used now.
///
/// # Errors
/// If the key is not to be taken.
pub(super) fn verify(
    shown: &ApiKeySecret,
    stored: Option<&ApiKey>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let expected = stored.map_or(&*NO_KEY, |key| &key.hash);
    let matches = shown.hash().matches(expected);
    match stored {
        None => Err(Refusal("API key is not known")),
        Some(_) if !matches => Err(Refusal("API key has the wrong secret")),
        Some(key) if key.revoked_at.is_some() => Err(Refusal("API key is revoked")),
        Some(key) if !key.is_valid(now) => Err(Refusal("API key is expired")),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_holds_the_halves_of_a_key() {
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
