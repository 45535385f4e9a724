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

/// What a JWK set holds.
#[derive(Debug)]
pub struct JwkSet {
    /// The keys that signatures are checked with; never empty.
    pub keys: Vec<PublicKey>,
    /// The others.
    pub left_out: Vec<LeftOut>,
}

/// A key of a set that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name in the set, cut to [`MAX_KEY_ID`] characters.
    pub id: Option<String>,
    /// The reason.
    pub why: Unusable,
}

/// Why a key of a set is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Its kind is not supported, or a member has a wrong type.
    NotUnderstood,
    /// The issuer publishes it for something other than signatures, or for an
    /// algorithm that is not supported.
    OtherUse,
    /// It is too short, too long, or not a key of its kind.
    Unsound,
    /// It stands after the first [`MAX_KEYS`].
    TooMany,
}

/// Why a JWK set cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwkSetError {
    /// It is not `{"keys": […]}`.
    NotASet,
    /// It holds a private key, with which every reader of the set can sign.
    PrivateKey,
    /// No key in it can check a signature of a supported algorithm.
    NoUsableKey,
}

/// The library's own type fails as a whole on one key that it cannot read.
#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// The members that only a private key has: RFC 7518 §6.2.2 and §6.3.2, RFC 8037
/// §2, and `priv` of the post-quantum kinds.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "priv"];

/// Longest key id that is repeated in the log, in characters.
const MAX_KEY_ID: usize = 64;

/// Reads a JWK set. A key that cannot be used is left out and the others are
/// used, as RFC 7517 §5 asks. A member that is `null` counts as absent: some
/// issuers write every member of their own type.
///
/// # Errors
/// As [`JwkSetError`] says. One private key refuses the whole set: its owner has
/// to replace it, and would not notice if it were left out.
pub fn parse_set(text: &[u8]) -> Result<JwkSet, JwkSetError> {
    let mut set: Set = serde_json::from_slice(text).map_err(|_| JwkSetError::NotASet)?;
    for key in set.keys.iter_mut().filter_map(Value::as_object_mut) {
        key.retain(|_, value| !value.is_null());
        if PRIVATE_MEMBERS.iter().any(|member| key.contains_key(*member)) {
            return Err(JwkSetError::PrivateKey);
        }
    }
    let (mut keys, mut left_out) = (Vec::new(), Vec::new());
    for (i, json) in set.keys.into_iter().enumerate() {
        let id = json["kid"].as_str().map(|id| id.chars().take(MAX_KEY_ID).collect());
        let key = if i < MAX_KEYS { PublicKey::from_json(json) } else { Err(Unusable::TooMany) };
        match key {
            Ok(key) => keys.push(key),
            Err(why) => left_out.push(LeftOut { id, why }),
        }
    }
    if keys.is_empty() { Err(JwkSetError::NoUsableKey) } else { Ok(JwkSet { keys, left_out }) }
}

impl PublicKey {
    fn from_json(mut json: Value) -> Result<Self, Unusable> {
        // RFC 9864 calls EdDSA with this curve by the curve's name.
        if json["alg"] == "Ed25519" {
            json["alg"] = "EdDSA".into();
        }
        let jwk: Jwk = serde_json::from_value(json).map_err(|_| Unusable::NotUnderstood)?;
        if !is_for_signatures(&jwk) {
            return Err(Unusable::OtherUse);
        }
        let supported = algorithms(&jwk.algorithm).ok_or(Unusable::NotUnderstood)?;
        let key = DecodingKey::from_jwk(&jwk).map_err(|_| Unusable::Unsound)?;
        if !is_sound(&key, supported[0]) {
            return Err(Unusable::Unsound);
        }
        let mut algorithms = supported.to_vec();
        if let Some(only) = jwk.common.key_algorithm {
            algorithms.retain(|algorithm| KeyAlgorithm::from(library(*algorithm)) == only);
        }
        if algorithms.is_empty() {
            return Err(Unusable::OtherUse);
        }
        Ok(Self { id: jwk.common.key_id, key, algorithms })
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

/// What a key of this kind can check.
fn algorithms(kind: &AlgorithmParameters) -> Option<&'static [Algorithm]> {
    use Algorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    match kind {
        AlgorithmParameters::RSA(_) => Some(&[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512]),
        AlgorithmParameters::EllipticCurve(of) if of.curve == EllipticCurve::P256 => Some(&[Es256]),
        AlgorithmParameters::EllipticCurve(of) if of.curve == EllipticCurve::P384 => Some(&[Es384]),
        AlgorithmParameters::OctetKeyPair(of) if of.curve == EllipticCurve::Ed25519 => {
            Some(&[EdDsa])
        }
        _ => None,
    }
}

/// Whether a key is strong enough, and a key at all.
fn is_sound(key: &DecodingKey, algorithm: Algorithm) -> bool {
    let has_right_length = match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, .. } => RSA_BITS.contains(&bits(n)),
        // The library panics on an Ed25519 key that is shorter, and cuts a longer one.
        DecodingKeyKind::SecretOrDer(bytes) => algorithm != Algorithm::EdDsa || bytes.len() == 32,
    };
    // The library then looks at the key itself, such as whether its point is on the
    // curve; the signature is none.
    has_right_length && crypto::verify("", b"", key, library(algorithm)).is_ok()
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

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unusable::NotUnderstood => {
                "its kind is not supported, or one of its members has a wrong type"
            }
            Unusable::OtherUse => "it is not for signatures of a supported algorithm",
            Unusable::Unsound => {
                "it is not a sound key of its kind (RSA needs 2048 to 4096 bits, Ed25519 32 bytes)"
            }
            Unusable::TooMany => "a set may have 100 keys",
        })
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
            let public = parse_set(&key.jwks()).unwrap().keys.remove(0);
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
            parse_set(set.as_bytes()).map(|set| set.keys[0].suits(Algorithm::EdDsa))
        };
        assert_eq!(with("use", "sig".into()), Ok(true));
        assert_eq!(with("use", "enc".into()), Err(JwkSetError::NoUsableKey));
        assert_eq!(with("key_ops", serde_json::json!(["verify"])), Ok(true));
        assert_eq!(with("key_ops", serde_json::json!(["encrypt"])), Err(JwkSetError::NoUsableKey));
        assert_eq!(with("alg", "EdDSA".into()), Ok(true));
        assert_eq!(with("alg", "Ed25519".into()), Ok(true));
        assert_eq!(with("alg", "ES256".into()), Err(JwkSetError::NoUsableKey));
        assert_eq!(with("alg", "made up".into()), Err(JwkSetError::NoUsableKey));
        assert_eq!(with("d", "AAAA".into()), Err(JwkSetError::PrivateKey));
        assert_eq!(with("x", "AAAA".into()), Err(JwkSetError::NoUsableKey));
        assert_eq!(with("x", "A".repeat(64).into()), Err(JwkSetError::NoUsableKey));
        assert_eq!(with("crv", "Ed448".into()), Err(JwkSetError::NoUsableKey));
        assert_eq!(with("crv", "P-256".into()), Err(JwkSetError::NoUsableKey));
        assert_eq!(with("kty", "oct".into()), Err(JwkSetError::NoUsableKey));
    }

    #[test]
    fn keys_that_cannot_be_used_are_left_out_and_named() {
        let key = SigningKey::ed25519();
        let mut for_encryption = key.jwk();
        for_encryption["use"] = "enc".into();
        for_encryption["kid"] = "k".repeat(MAX_KEY_ID + 1).into();
        let set = serde_json::json!({ "keys": [
            "x", { "kty": "AKP", "kid": "pq", "alg": "ML-DSA-44", "pub": "AA" },
            { "kty": "oct", "k": "AA" },
            { "kty": "EC", "kid": "large", "crv": "P-521", "x": "A".repeat(88), "y": "A".repeat(88) },
            { "kty": "OKP", "kid": "long", "crv": "Ed448", "x": "A".repeat(76) },
            { "kty": "RSA", "kid": "weak", "n": "AQAB", "e": "AQAB" },
            key.jwk(), for_encryption,
        ]});
        let set = parse_set(set.to_string().as_bytes()).unwrap();
        assert_eq!(set.keys.len(), 1);
        let left_out = |id: Option<&str>, why| LeftOut { id: id.map(str::to_owned), why };
        assert_eq!(
            set.left_out,
            [
                left_out(None, Unusable::NotUnderstood),
                left_out(Some("pq"), Unusable::NotUnderstood),
                left_out(None, Unusable::NotUnderstood),
                left_out(Some("large"), Unusable::NotUnderstood),
                left_out(Some("long"), Unusable::NotUnderstood),
                left_out(Some("weak"), Unusable::Unsound),
                left_out(Some(&"k".repeat(MAX_KEY_ID)), Unusable::OtherUse),
            ]
        );
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
            assert_eq!(parse_set(text.as_bytes()).unwrap_err(), JwkSetError::NotASet, "{text}");
        }
        assert_eq!(parse_set(br#"{"keys":[]}"#).unwrap_err(), JwkSetError::NoUsableKey);
    }

    #[test]
    fn a_set_may_have_a_hundred_keys() {
        let keys = vec![SigningKey::ed25519().jwk(); MAX_KEYS + 1];
        let set = parse_set(serde_json::json!({ "keys": keys }).to_string().as_bytes()).unwrap();
        assert_eq!((set.keys.len(), set.left_out.len()), (MAX_KEYS, 1));
        assert_eq!(set.left_out[0].why, Unusable::TooMany);
        assert!(Unusable::TooMany.to_string().contains(&MAX_KEYS.to_string()));
    }

    #[test]
    fn a_member_that_is_null_counts_as_absent() {
        let key = SigningKey::ed25519();
        let mut jwk = key.jwk();
        for member in PRIVATE_MEMBERS.into_iter().chain(["alg", "use", "key_ops", "x5c", "x5t"]) {
            jwk[member] = Value::Null;
        }
        let set = serde_json::json!({ "keys": [jwk] }).to_string();
        assert!(parse_set(set.as_bytes()).unwrap().keys[0].suits(Algorithm::EdDsa));
    }

    #[test]
    fn one_private_key_refuses_the_whole_set() {
        for member in PRIVATE_MEMBERS {
            let mut jwk = SigningKey::ed25519().jwk();
            jwk[member] = "AAAA".into();
            let keys = [SigningKey::ed25519().jwk(), jwk];
            let set = serde_json::json!({ "keys": keys }).to_string();
            assert_eq!(parse_set(set.as_bytes()).unwrap_err(), JwkSetError::PrivateKey, "{member}");
        }
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
