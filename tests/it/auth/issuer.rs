use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::{EncodePrivateKey, KeypairBytes};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

/// An issuer's signing key. Each test generates its own.
pub struct SigningKey {
    id: &'static str,
    key: EncodingKey,
}

impl SigningKey {
    /// A key with the id "1".
    pub fn generate() -> Self {
        Self::with_id("1")
    }

    pub fn with_id(id: &'static str) -> Self {
        let key = KeypairBytes { secret_key: rand::random(), public_key: None };
        Self { id, key: EncodingKey::from_ed_der(key.to_pkcs8_der().unwrap().as_bytes()) }
    }

    /// The JWK set with the public key.
    pub fn jwks(&self) -> String {
        let mut key = Jwk::from_encoding_key(&self.key, Algorithm::EdDSA).unwrap();
        key.common.key_id = Some(self.id.to_owned());
        json!({ "keys": [key] }).to_string()
    }

    /// A signed token.
    pub fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({ "alg": "EdDSA", "kid": self.id }), claims)
    }

    /// A signed token with this header.
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = crypto::sign(signed.as_bytes(), &self.key, Algorithm::EdDSA).unwrap();
        format!("{signed}.{signature}")
    }
}
