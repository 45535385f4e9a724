//! Public keys as JWK sets carry them (RFC 7517, RFC 7518 §6, RFC 8037), and the
//! check of a signature with one.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use serde_json::Value;

use crate::config::Algorithm;

/// Keys of a set that are looked at; no issuer has so many.
const MAX_KEYS: usize = 100;

/// One public key of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name in the set.
    pub id: Option<String>,
    /// The one algorithm it is meant for, if the issuer says so.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// Why a JWK set cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwkSetError {
    /// It is not `{"keys": […]}`.
    NotASet,
    /// It holds a private key: who signs with that is anybody who has read it.
    PrivateKey,
    /// No key in it can check a signature of a supported algorithm.
    NoUsableKey,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Reads a JWK set. Keys of kinds or for uses that are not supported are left
/// out, as RFC 7517 §5 asks.
///
/// # Errors
/// As [`JwkSetError`] says.
pub fn parse_set(text: &[u8]) -> Result<Vec<PublicKey>, JwkSetError> {
    let set: Set = serde_json::from_slice(text).map_err(|_| JwkSetError::NotASet)?;
    if set.keys.iter().any(|key| key.get("d").is_some()) {
        return Err(JwkSetError::PrivateKey);
    }
    let keys: Vec<_> = set
        .keys
        .into_iter()
        .take(MAX_KEYS)
        .filter_map(|key| serde_json::from_value(key).ok())
        .filter_map(PublicKey::from_jwk)
        .collect();
    if keys.is_empty() { Err(JwkSetError::NoUsableKey) } else { Ok(keys) }
}

impl PublicKey {
    fn from_jwk(jwk: Jwk) -> Option<Self> {
        let signs = jwk.usage.is_none_or(|usage| usage == "sig")
            && jwk.key_ops.is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !signs {
            return None;
        }
        let decode = |part: Option<String>| URL_SAFE_NO_PAD.decode(part?).ok();
        let point = |length: usize, x: Vec<u8>, y: Vec<u8>| {
            // SEC 1 §2.3.3: uncompressed.
            (x.len() == length && y.len() == length).then(|| [&[4], x.as_slice(), &y].concat())
        };
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let strip = |mut bytes: Vec<u8>| {
                    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                    bytes.split_off(zeros)
                };
                let modulus = strip(decode(jwk.n)?);
                // Shorter ones can be broken, longer ones only cost time.
                if !(256..=1024).contains(&modulus.len()) {
                    return None;
                }
                Material::Rsa { modulus, exponent: strip(decode(jwk.e)?) }
            }
            ("EC", Some("P-256")) => Material::P256(point(32, decode(jwk.x)?, decode(jwk.y)?)?),
            ("EC", Some("P-384")) => Material::P384(point(48, decode(jwk.x)?, decode(jwk.y)?)?),
            ("OKP", Some("Ed25519")) => {
                Material::Ed25519(decode(jwk.x).filter(|bytes| bytes.len() == 32)?)
            }
            _ => return None,
        };
        Some(Self { id: jwk.kid, algorithm: jwk.alg, material })
    }

    /// Whether it is for this algorithm: its kind can, and the issuer does not
    /// say otherwise.
    pub fn suits(&self, algorithm: Algorithm) -> bool {
        use Algorithm as A;
        let can = match self.material {
            Material::Rsa { .. } => {
                matches!(algorithm, A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512)
            }
            Material::P256(_) => algorithm == A::Es256,
            Material::P384(_) => algorithm == A::Es384,
            Material::Ed25519(_) => algorithm == A::EdDsa,
        };
        // RFC 9864 calls EdDSA with this curve by the curve's name.
        let named =
            |name: &str| name == algorithm.as_str() || (algorithm == A::EdDsa && name == "Ed25519");
        can && self.algorithm.as_deref().is_none_or(named)
    }

    /// Whether `signature` is this key's over `message`, by this algorithm.
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.suits(algorithm) {
            return false;
        }
        let simple = |check: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(check, key).verify(message, signature).is_ok()
        };
        match &self.material {
            Material::P256(key) => simple(&signature::ECDSA_P256_SHA256_FIXED, key),
            Material::P384(key) => simple(&signature::ECDSA_P384_SHA384_FIXED, key),
            Material::Ed25519(key) => simple(&signature::ED25519, key),
            Material::Rsa { modulus, exponent } => {
                let parameters = match algorithm {
                    Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
                    Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
                    Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
                    Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => return false,
                };
                RsaPublicKeyComponents { n: modulus, e: exponent }
                    .verify(parameters, message, signature)
                    .is_ok()
            }
        }
    }
}

impl fmt::Display for JwkSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JwkSetError::NotASet => "it is not a JWK set (RFC 7517): {\"keys\": […]}",
            JwkSetError::PrivateKey => {
                "it holds a private key; publish the public half alone, and make a new key"
            }
            JwkSetError::NoUsableKey => {
                "it holds no usable key (RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519, for signatures)"
            }
        })
    }
}

impl std::error::Error for JwkSetError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::tests::SigningKey;

    #[test]
    fn each_key_checks_its_own_algorithms_alone() {
        for key in SigningKey::one_of_each() {
            let public = parse_set(&key.jwks()).unwrap().remove(0);
            for algorithm in Algorithm::ALL {
                assert_eq!(public.suits(algorithm), key.algorithms().contains(&algorithm));
            }
            for algorithm in key.algorithms() {
                let signature = key.sign(algorithm, b"message");
                assert!(public.verifies(algorithm, b"message", &signature), "{algorithm}");
                assert!(!public.verifies(algorithm, b"massage", &signature), "{algorithm}");
                assert!(!public.verifies(algorithm, b"message", &signature[1..]), "{algorithm}");
                for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
                    assert!(!public.verifies(other, b"message", &signature), "{algorithm} {other}");
                }
            }
        }
    }

    #[test]
    fn what_the_issuer_says_about_a_key_is_kept_to() {
        let key = SigningKey::ed25519();
        let with = |member: &str, value: Value| {
            let mut jwk = key.jwk();
            jwk[member] = value;
            let set = serde_json::json!({ "keys": [jwk] }).to_string();
            parse_set(set.as_bytes()).map(|keys| keys[0].suits(Algorithm::EdDsa))
        };
        assert_eq!(with("use", "sig".into()), Ok(true));
        assert_eq!(with("use", "enc".into()), Err(JwkSetError::NoUsableKey));
        assert_eq!(with("key_ops", serde_json::json!(["verify"])), Ok(true));
        assert_eq!(with("key_ops", serde_json::json!(["encrypt"])), Err(JwkSetError::NoUsableKey));
        assert_eq!(with("alg", "EdDSA".into()), Ok(true));
        assert_eq!(with("alg", "Ed25519".into()), Ok(true));
        assert_eq!(with("alg", "ES256".into()), Ok(false));
        assert_eq!(with("d", "AAAA".into()), Err(JwkSetError::PrivateKey));
        assert_eq!(with("x", "AAAA".into()), Err(JwkSetError::NoUsableKey));
        assert_eq!(with("crv", "Ed448".into()), Err(JwkSetError::NoUsableKey));
        assert_eq!(with("kty", "oct".into()), Err(JwkSetError::NoUsableKey));
    }

    #[test]
    fn keys_that_are_not_understood_are_left_out() {
        let key = SigningKey::ed25519();
        let set = serde_json::json!({ "keys": [
            "x", { "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA" }, { "kty": "oct", "k": "AA" },
            { "kty": "RSA", "n": "AQAB", "e": "AQAB" }, key.jwk(),
        ]});
        assert_eq!(parse_set(set.to_string().as_bytes()).unwrap().len(), 1);
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
            assert_eq!(parse_set(text.as_bytes()), Err(JwkSetError::NotASet), "{text}");
        }
        assert_eq!(parse_set(br#"{"keys":[]}"#), Err(JwkSetError::NoUsableKey));
    }
}
