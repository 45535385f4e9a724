//! Public keys out of a JWK set (RFC 7517): which of them this service uses, and
//! for what. The library reads them and checks signatures with them, but takes
//! any key: private, weak or meant for something else.

use std::fmt;

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{DecodingKey, DecodingKeyKind, crypto};
use serde::Deserialize;
use serde_json::Value;

use crate::config::Algorithm;

/// Keys of a set that are looked at; no issuer has so many.
const MAX_KEYS: usize = 100;

/// Shorter ones can be broken, longer ones the library does not check.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// One public key of an issuer.
#[derive(Debug, Clone)]
pub struct PublicKey {
    /// Its name in the set.
    pub id: Option<String>,
    /// What signatures are checked with.
    pub key: DecodingKey,
    algorithms: Vec<Algorithm>,
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

/// The library's own type fails as a whole on one key that it cannot read.
#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
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
    let keys: Vec<_> =
        set.keys.into_iter().take(MAX_KEYS).filter_map(PublicKey::from_json).collect();
    if keys.is_empty() { Err(JwkSetError::NoUsableKey) } else { Ok(keys) }
}

impl PublicKey {
    fn from_json(mut json: Value) -> Option<Self> {
        // RFC 9864 calls EdDSA with this curve by the curve's name.
        if json["alg"] == "Ed25519" {
            json["alg"] = "EdDSA".into();
        }
        let jwk: Jwk = serde_json::from_value(json).ok()?;
        if !is_for_signatures(&jwk) {
            return None;
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        let mut algorithms = algorithms(&jwk.algorithm, &key)?.to_vec();
        if let Some(only) = jwk.common.key_algorithm {
            algorithms.retain(|algorithm| KeyAlgorithm::from(library(*algorithm)) == only);
        }
        Some(Self { id: jwk.common.key_id, key, algorithms })
    }

    /// Whether it is for this algorithm: its kind can, and the issuer does not
    /// say otherwise.
    pub fn suits(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }
}

fn is_for_signatures(jwk: &Jwk) -> bool {
    let said = &jwk.common;
    said.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
        && said.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify))
}

/// What a key of this kind can check; nothing if it is weak or malformed.
fn algorithms(kind: &AlgorithmParameters, key: &DecodingKey) -> Option<&'static [Algorithm]> {
    use Algorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    let can: &[Algorithm] = match kind {
        AlgorithmParameters::RSA(_) => &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512],
        AlgorithmParameters::EllipticCurve(of) if of.curve == EllipticCurve::P256 => &[Es256],
        AlgorithmParameters::EllipticCurve(of) if of.curve == EllipticCurve::P384 => &[Es384],
        AlgorithmParameters::OctetKeyPair(of) if of.curve == EllipticCurve::Ed25519 => &[EdDsa],
        _ => return None,
    };
    let is_sound = match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, .. } => RSA_BITS.contains(&bits(n)),
        // The library panics on an Ed25519 key that is shorter, and cuts a longer one.
        DecodingKeyKind::SecretOrDer(bytes) => can != [EdDsa] || bytes.len() == 32,
    };
    // Makes the library look at the key itself, such as whether its point is on the
    // curve; the signature is none.
    let is_read = || crypto::verify("", b"", key, library(can[0])).is_ok();
    (is_sound && is_read()).then_some(can)
}

/// The length of a number, without the zeros before it.
fn bits(number: &[u8]) -> usize {
    let first = number.iter().position(|byte| *byte != 0);
    first.map_or(0, |at| {
        (number.len() - at) * 8 - usize::try_from(number[at].leading_zeros()).unwrap_or(0)
    })
}

/// An algorithm as the library calls it. Ours leaves out the symmetric ones, so
/// that an issuer cannot be pinned to one.
pub fn library(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Rs384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::Rs512 => jsonwebtoken::Algorithm::RS512,
        Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::Ps384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::Ps512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
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
                "it holds no usable key (RSA of 2048 to 4096 bits, P-256, P-384 or Ed25519, for signatures)"
            }
        })
    }
}

impl std::error::Error for JwkSetError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::tests::SigningKey;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    #[test]
    fn each_key_checks_its_own_algorithms_alone() {
        for key in SigningKey::one_of_each() {
            let public = parse_set(&key.jwks()).unwrap().remove(0);
            let verifies = |algorithm, message: &[u8], signature: &str| {
                crypto::verify(signature, message, &public.key, library(algorithm)).unwrap_or(false)
            };
            for algorithm in Algorithm::ALL {
                assert_eq!(public.suits(algorithm), key.algorithms().contains(&algorithm));
            }
            for algorithm in key.algorithms() {
                let signature = key.sign(algorithm, b"message");
                assert!(verifies(algorithm, b"message", &signature), "{algorithm}");
                assert!(!verifies(algorithm, b"massage", &signature), "{algorithm}");
                assert!(!verifies(algorithm, b"message", &signature[4..]), "{algorithm}");
                for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
                    assert!(!verifies(other, b"message", &signature), "{algorithm} {other}");
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
        assert_eq!(with("alg", "made up".into()), Ok(false));
        assert_eq!(with("d", "AAAA".into()), Err(JwkSetError::PrivateKey));
        assert_eq!(with("x", "AAAA".into()), Err(JwkSetError::NoUsableKey));
        assert_eq!(with("x", "A".repeat(64).into()), Err(JwkSetError::NoUsableKey));
        assert_eq!(with("crv", "Ed448".into()), Err(JwkSetError::NoUsableKey));
        assert_eq!(with("crv", "P-256".into()), Err(JwkSetError::NoUsableKey));
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
            assert_eq!(parse_set(text.as_bytes()).unwrap_err(), JwkSetError::NotASet, "{text}");
        }
        assert_eq!(parse_set(br#"{"keys":[]}"#).unwrap_err(), JwkSetError::NoUsableKey);
    }

    #[test]
    fn keys_that_are_weak_or_broken_are_left_out() {
        let encode = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
        let rsa = |modulus: Vec<u8>| {
            let jwk = serde_json::json!({ "kty": "RSA", "n": encode(modulus), "e": "AQAB" });
            let set = serde_json::json!({ "keys": [jwk] });
            parse_set(set.to_string().as_bytes()).is_ok()
        };
        assert!(rsa(vec![0xff; 256]) && rsa(vec![0xff; 512]));
        assert!(!rsa([vec![0x7f], vec![0xff; 255]].concat()), "2047 bits");
        assert!(!rsa([vec![0; 128], vec![0xff; 128]].concat()), "zeros do not count");
        assert!(!rsa(vec![0xff; 513]) && !rsa(vec![0; 256]) && !rsa(vec![]));

        let ec = |x: Vec<u8>, y: Vec<u8>| {
            let (x, y) = (encode(x), encode(y));
            let jwk = serde_json::json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
            let set = serde_json::json!({ "keys": [jwk] });
            parse_set(set.to_string().as_bytes()).is_ok()
        };
        assert!(!ec(vec![1; 32], vec![1; 32]), "not on the curve");
        assert!(!ec(vec![1; 31], vec![1; 33]) && !ec(vec![], vec![]));
    }
}
