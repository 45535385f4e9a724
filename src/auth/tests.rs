//! Issuers for the tests: keys that are generated in each run, valid and invalid tokens, and
//! an endpoint that counts requests.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::{EncodePrivateKey, KeypairBytes};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, crypto};
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::rand_core::OsRng;
use serde_json::{Value, json};

use crate::auth::jwk::library_algorithm;
use crate::config::{Algorithm, Issuer, JwksSource, Trust, VerifiableDomains};
use crate::domain::LoginProviderKind;

pub(crate) mod authenticate;
mod causes;
mod endpoint;
mod jwks;
mod jwt;
mod log;
mod token_cache;

/// Generating an RSA key takes a second, so all tests share one.
static RSA: LazyLock<EncodingKey> = LazyLock::new(|| {
    let key = rsa::RsaPrivateKey::new(&mut OsRng, 2048).unwrap();
    EncodingKey::from_rsa_der(key.to_pkcs1_der().unwrap().as_bytes())
});

/// An issuer's private key.
pub(crate) struct SigningKey {
    pub(crate) id: String,
    key: EncodingKey,
    /// The algorithms that it supports.
    algorithms: Vec<Algorithm>,
}

impl SigningKey {
    pub(crate) fn rsa() -> Self {
        Self::new(RSA.clone(), &Algorithm::ALL[..6])
    }

    pub(crate) fn ec(algorithm: Algorithm) -> Self {
        let pkcs8 = match algorithm {
            Algorithm::Es256 => p256::SecretKey::random(&mut OsRng).to_pkcs8_der(),
            Algorithm::Es384 => p384::SecretKey::random(&mut OsRng).to_pkcs8_der(),
            other => panic!("{other} has no such key"),
        };
        Self::new(EncodingKey::from_ec_der(pkcs8.unwrap().as_bytes()), &[algorithm])
    }

    pub(crate) fn ed25519() -> Self {
        let pkcs8 = KeypairBytes { secret_key: rand::random(), public_key: None }.to_pkcs8_der();
        Self::new(EncodingKey::from_ed_der(pkcs8.unwrap().as_bytes()), &[Algorithm::EdDsa])
    }

    pub(crate) fn one_of_each() -> Vec<Self> {
        let ec = [Algorithm::Es256, Algorithm::Es384].map(Self::ec);
        ec.into_iter().chain([Self::rsa(), Self::ed25519()]).collect()
    }

    fn new(key: EncodingKey, algorithms: &[Algorithm]) -> Self {
        Self { id: uuid::Uuid::new_v4().to_string(), key, algorithms: algorithms.to_vec() }
    }

    pub(crate) fn algorithms(&self) -> Vec<Algorithm> {
        self.algorithms.clone()
    }

    /// The signature, encoded as in a token.
    pub(crate) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> String {
        crypto::sign(message, &self.key, library_algorithm(algorithm)).unwrap()
    }

    /// The public key as a JWK without `alg`.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk =
            Jwk::from_encoding_key(&self.key, library_algorithm(self.algorithms[0])).unwrap();
        jwk.common.key_algorithm = None;
        jwk.common.key_id = Some(self.id.clone());
        serde_json::to_value(jwk).unwrap()
    }

    /// A JWK set with only this key.
    pub(crate) fn jwks(&self) -> Vec<u8> {
        jwks([self])
    }

    /// A signed token with these claims and a valid header.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let header = json!({ "alg": self.algorithms[0].as_str(), "typ": "JWT", "kid": self.id });
        self.token_with(&header, claims)
    }

    /// A token with a valid signature and any header.
    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self.sign(self.algorithms[0], signed.as_bytes());
        format!("{signed}.{signature}")
    }
}

/// A JWK set with these keys.
pub(crate) fn jwks<'a>(keys: impl IntoIterator<Item = &'a SigningKey>) -> Vec<u8> {
    let keys: Vec<_> = keys.into_iter().map(SigningKey::jwk).collect();
    json!({ "keys": keys }).to_string().into_bytes()
}

fn vouched(domains: &[&str]) -> VerifiableDomains {
    match domains {
        ["*"] => VerifiableDomains::All,
        _ => {
            let domains: BTreeSet<_> = domains.iter().map(|text| text.parse().unwrap()).collect();
            VerifiableDomains::These(domains)
        }
    }
}

/// An issuer of kind `service`.
pub(crate) fn service_issuer(name: &str, domains: &[&str]) -> Issuer {
    Issuer {
        issuer: name.to_owned(),
        trust: Trust::Service,
        login_provider: name.to_owned(),
        login_provider_kind: LoginProviderKind::Other,
        verified_email_domains: vouched(domains),
    }
}

/// An issuer of kind `jwt` with the audience `guestlist`, for addresses in acme.com.
pub(crate) fn jwt_issuer(name: &str, algorithms: &[Algorithm], jwks: JwksSource) -> Issuer {
    let trust = Trust::Jwt {
        audience: "guestlist".to_owned(),
        algorithms: algorithms.to_vec(),
        jwks,
        email_verified_as_text: false,
        sso_organizations: Vec::new(),
        sign_in: None,
    };
    Issuer { trust, ..service_issuer(name, &["acme.com"]) }
}
