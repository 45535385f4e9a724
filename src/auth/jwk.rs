//! Parses JWK sets (RFC 7517) and selects the usable public keys. The jsonwebtoken crate
//! parses keys and verifies signatures, but accepts any key, also private keys, weak keys
//! and keys for other uses.

use std::fmt;

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{DecodingKey, DecodingKeyKind, crypto};
use serde::Deserialize;
use serde_json::Value;

use crate::config::Algorithm;

/// The most keys of a set that are used. Issuers publish far fewer.
const MAX_KEYS: usize = 100;

/// Shorter RSA keys can be broken; the library cannot verify with longer ones.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

#[derive(Debug, Clone)]
pub struct PublicKey {
    /// The `kid` of the key.
    pub id: Option<String>,
    pub key: DecodingKey,
    algorithms: Vec<Algorithm>,
}

#[derive(Debug)]
pub struct JwkSet {
    /// Never empty.
    pub keys: Vec<PublicKey>,
    pub skipped: Vec<SkippedKey>,
}

/// A key of a set that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// The `kid` of the key, cut to [`MAX_LOGGED_KEY_ID_CHARS`] characters.
    pub id: Option<String>,
    pub reason: SkipReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// The key type is not supported, or a member has a wrong type.
    Unsupported,
    /// The key is not for signatures, or is for an unsupported algorithm.
    OtherUse,
    /// The key is too short, too long or malformed.
    Malformed,
    /// The set has more than [`MAX_KEYS`] keys.
    TooMany,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwkSetError {
    /// The text is not `{"keys": […]}`.
    NotASet,
    /// The set contains a private key: every reader of the set can sign with it.
    PrivateKey,
    /// No key can verify signatures of a supported algorithm.
    NoUsableKey,
}

/// Replaces the library's type, which fails as a whole if it cannot parse one of the keys.
#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// The members of private keys: RFC 7518 §6.2.2 and §6.3.2, RFC 8037 §2, and `priv` of
/// post-quantum keys.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "priv"];

/// The longest key id in the log, in characters.
const MAX_LOGGED_KEY_ID_CHARS: usize = 64;

/// Parses a JWK set. Unusable keys are skipped, as RFC 7517 §5 recommends. A member with the
/// value `null` counts as absent: some issuers write every member of their type.
///
/// # Errors
/// A single private key is an error for the whole set: its owner must replace it, and would
/// not notice if it were only skipped.
pub fn parse_set(text: &[u8]) -> Result<JwkSet, JwkSetError> {
    let mut set: Set = serde_json::from_slice(text).map_err(|_| JwkSetError::NotASet)?;
    for key in set.keys.iter_mut().filter_map(Value::as_object_mut) {
        key.retain(|_, value| !value.is_null());
        if PRIVATE_MEMBERS.iter().any(|member| key.contains_key(*member)) {
            return Err(JwkSetError::PrivateKey);
        }
    }
    let (mut keys, mut skipped) = (Vec::new(), Vec::new());
    for (i, json) in set.keys.into_iter().enumerate() {
        let id = json["kid"].as_str().map(|id| id.chars().take(MAX_LOGGED_KEY_ID_CHARS).collect());
        let key = if i < MAX_KEYS { PublicKey::from_json(json) } else { Err(SkipReason::TooMany) };
        match key {
            Ok(key) => keys.push(key),
            Err(reason) => skipped.push(SkippedKey { id, reason }),
        }
    }
    if keys.is_empty() { Err(JwkSetError::NoUsableKey) } else { Ok(JwkSet { keys, skipped }) }
}

impl PublicKey {
    fn from_json(mut json: Value) -> Result<Self, SkipReason> {
        // RFC 9864 names EdDSA after its curve.
        if json["alg"] == "Ed25519" {
            json["alg"] = "EdDSA".into();
        }
        let jwk: Jwk = serde_json::from_value(json).map_err(|_| SkipReason::Unsupported)?;
        if !is_for_signatures(&jwk) {
            return Err(SkipReason::OtherUse);
        }
        let supported = algorithms(&jwk.algorithm).ok_or(SkipReason::Unsupported)?;
        let key = DecodingKey::from_jwk(&jwk).map_err(|_| SkipReason::Malformed)?;
        if !is_well_formed(&key, supported[0]) {
            return Err(SkipReason::Malformed);
        }
        let mut algorithms = supported.to_vec();
        if let Some(only) = jwk.common.key_algorithm {
            algorithms
                .retain(|algorithm| KeyAlgorithm::from(library_algorithm(*algorithm)) == only);
        }
        if algorithms.is_empty() {
            return Err(SkipReason::OtherUse);
        }
        Ok(Self { id: jwk.common.key_id, key, algorithms })
    }

    /// Whether the key may verify signatures of this algorithm: its type supports it, and
    /// its `alg`, if any, is the same.
    pub fn suits(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }
}

/// Equal keys verify the same tokens.
impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        use DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
        let is_same_key = match (self.key.kind(), other.key.kind()) {
            (SecretOrDer(one), SecretOrDer(two)) => one == two,
            (RsaModulusExponent { n, e }, RsaModulusExponent { n: n2, e: e2 }) => {
                (n, e) == (n2, e2)
            }
            _ => false,
        };
        is_same_key && self.id == other.id && self.algorithms == other.algorithms
    }
}

fn is_for_signatures(jwk: &Jwk) -> bool {
    let common = &jwk.common;
    common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify))
}

/// The algorithms that a key of this type supports.
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

/// Whether a key is strong enough and well-formed.
fn is_well_formed(key: &DecodingKey, algorithm: Algorithm) -> bool {
    let has_right_length = match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, .. } => RSA_BITS.contains(&bits(n)),
        // The library panics on an Ed25519 key that is shorter, and cuts a longer one.
        DecodingKeyKind::SecretOrDer(bytes) => algorithm != Algorithm::EdDsa || bytes.len() == 32,
    };
    // Verifying an empty signature returns false, not an error, if the key itself is valid,
    // for example if its point is on the curve.
    has_right_length && crypto::verify("", b"", key, library_algorithm(algorithm)).is_ok()
}

/// The length of a big-endian number in bits, without leading zeros.
fn bits(number: &[u8]) -> usize {
    let first = number.iter().position(|byte| *byte != 0);
    first.map_or(0, |at| {
        (number.len() - at) * 8 - usize::try_from(number[at].leading_zeros()).unwrap_or(0)
    })
}

/// The library's value for an algorithm. Our type has no symmetric algorithms, so they
/// cannot be configured for an issuer.
pub fn library_algorithm(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
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

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SkipReason::Unsupported => {
                "its kind is not supported, or one of its members has a wrong type"
            }
            SkipReason::OtherUse => "it is not for signatures of a supported algorithm",
            SkipReason::Malformed => {
                "it is not a sound key of its kind (RSA needs 2048 to 4096 bits, Ed25519 32 bytes)"
            }
            SkipReason::TooMany => "a set may have 100 keys",
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
    fn each_key_verifies_only_its_own_algorithms() {
        for key in SigningKey::one_of_each() {
            let public = parse_set(&key.jwks()).unwrap().keys.remove(0);
            let verifies = |algorithm, message: &[u8], signature: &str| {
                crypto::verify(signature, message, &public.key, library_algorithm(algorithm))
                    .unwrap_or(false)
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
    fn the_declared_usage_and_algorithm_of_a_key_are_enforced() {
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
    fn unusable_keys_are_skipped_and_listed_with_the_reason() {
        let key = SigningKey::ed25519();
        let mut for_encryption = key.jwk();
        for_encryption["use"] = "enc".into();
        for_encryption["kid"] = "k".repeat(MAX_LOGGED_KEY_ID_CHARS + 1).into();
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
        let skipped = |id: Option<&str>, reason| SkippedKey { id: id.map(str::to_owned), reason };
        assert_eq!(
            set.skipped,
            [
                skipped(None, SkipReason::Unsupported),
                skipped(Some("pq"), SkipReason::Unsupported),
                skipped(None, SkipReason::Unsupported),
                skipped(Some("large"), SkipReason::Unsupported),
                skipped(Some("long"), SkipReason::Unsupported),
                skipped(Some("weak"), SkipReason::Malformed),
                skipped(Some(&"k".repeat(MAX_LOGGED_KEY_ID_CHARS)), SkipReason::OtherUse),
            ]
        );
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
            assert_eq!(parse_set(text.as_bytes()).unwrap_err(), JwkSetError::NotASet, "{text}");
        }
        assert_eq!(parse_set(br#"{"keys":[]}"#).unwrap_err(), JwkSetError::NoUsableKey);
    }

    #[test]
    fn keys_beyond_the_maximum_are_skipped() {
        let keys = vec![SigningKey::ed25519().jwk(); MAX_KEYS + 1];
        let set = parse_set(serde_json::json!({ "keys": keys }).to_string().as_bytes()).unwrap();
        assert_eq!((set.keys.len(), set.skipped.len()), (MAX_KEYS, 1));
        assert_eq!(set.skipped[0].reason, SkipReason::TooMany);
        assert!(SkipReason::TooMany.to_string().contains(&MAX_KEYS.to_string()));
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
    fn a_set_with_a_private_key_is_rejected() {
        for member in PRIVATE_MEMBERS {
            let mut jwk = SigningKey::ed25519().jwk();
            jwk[member] = "AAAA".into();
            let keys = [SigningKey::ed25519().jwk(), jwk];
            let set = serde_json::json!({ "keys": keys }).to_string();
            assert_eq!(parse_set(set.as_bytes()).unwrap_err(), JwkSetError::PrivateKey, "{member}");
        }
    }

    #[test]
    fn weak_or_malformed_keys_are_skipped() {
        let encode = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
        let rsa = |modulus: Vec<u8>| {
            let jwk = serde_json::json!({ "kty": "RSA", "n": encode(modulus), "e": "AQAB" });
            let set = serde_json::json!({ "keys": [jwk] });
            parse_set(set.to_string().as_bytes()).is_ok()
        };
        assert!(rsa(vec![0xff; 256]) && rsa(vec![0xff; 512]));
        assert!(!rsa([vec![0x7f], vec![0xff; 255]].concat()), "2047 bits");
        assert!(!rsa([vec![0; 128], vec![0xff; 128]].concat()), "leading zeros do not count");
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
