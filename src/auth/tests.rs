//! Issuers for the tests: keys made anew in each run, tokens of every shape, and
//! an endpoint that counts who asks.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use rsa::pkcs8::EncodePrivateKey;
use serde_json::{Value, json};

use crate::config::{Algorithm, Issuer, JwksSource, Trust, VouchedDomains};
use crate::domain::LoginProviderKind;

mod authenticate;
mod endpoint;
mod jwks;
mod jwt;

/// Finding primes takes a second, so all tests share one.
static RSA_PKCS8: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    key.to_pkcs8_der().unwrap().as_bytes().to_vec()
});

/// An issuer's private key.
pub(crate) struct SigningKey {
    pub(crate) id: String,
    material: Material,
}

enum Material {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, Algorithm),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    pub(crate) fn rsa() -> Self {
        Self::new(Material::Rsa(RsaKeyPair::from_pkcs8(&RSA_PKCS8).unwrap()))
    }

    pub(crate) fn ec(algorithm: Algorithm) -> Self {
        let parameters = match algorithm {
            Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            Algorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            other => panic!("{other} has no such key"),
        };
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(parameters, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(parameters, pkcs8.as_ref(), &random).unwrap();
        Self::new(Material::Ec(pair, algorithm))
    }

    pub(crate) fn ed25519() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::new(Material::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap()))
    }

    pub(crate) fn one_of_each() -> Vec<Self> {
        let ec = [Algorithm::Es256, Algorithm::Es384].map(Self::ec);
        ec.into_iter().chain([Self::rsa(), Self::ed25519()]).collect()
    }

    fn new(material: Material) -> Self {
        Self { id: uuid::Uuid::new_v4().to_string(), material }
    }

    /// What it can sign with.
    pub(crate) fn algorithms(&self) -> Vec<Algorithm> {
        match &self.material {
            Material::Rsa(_) => Algorithm::ALL[..6].to_vec(),
            Material::Ec(_, algorithm) => vec![*algorithm],
            Material::Ed25519(_) => vec![Algorithm::EdDsa],
        }
    }

    pub(crate) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.material {
            Material::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Material::Ec(pair, _) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Material::Rsa(pair) => {
                let padding: &dyn signature::RsaEncoding = match algorithm {
                    Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
                    Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
                    Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
                    Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
                    Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
                    other => panic!("RSA cannot sign {other}"),
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// The public half.
    pub(crate) fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.material {
            Material::Rsa(pair) => {
                let public: signature::RsaPublicKeyComponents<Vec<u8>> = pair.public().into();
                json!({ "kty": "RSA", "n": encode(&public.n), "e": encode(&public.e) })
            }
            Material::Ec(pair, algorithm) => {
                let (x, y) = pair.public_key().as_ref()[1..]
                    .split_at((pair.public_key().as_ref().len() - 1) / 2);
                let curve = if *algorithm == Algorithm::Es256 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) })
            }
            Material::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()) })
            }
        };
        jwk["kid"] = self.id.clone().into();
        jwk
    }

    /// A JWK set with this key alone.
    pub(crate) fn jwks(&self) -> Vec<u8> {
        jwks([self])
    }

    /// A signed token of these claims, with the plain header.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let algorithm = self.algorithms()[0];
        let header = json!({ "alg": algorithm.as_str(), "typ": "JWT", "kid": self.id });
        self.token_with(&header, claims)
    }

    /// A token that is rightly signed, whatever its header says.
    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self.sign(self.algorithms()[0], signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A JWK set with these keys.
pub(crate) fn jwks<'a>(keys: impl IntoIterator<Item = &'a SigningKey>) -> Vec<u8> {
    let keys: Vec<_> = keys.into_iter().map(SigningKey::jwk).collect();
    json!({ "keys": keys }).to_string().into_bytes()
}

fn vouched(domains: &[&str]) -> VouchedDomains {
    match domains {
        ["*"] => VouchedDomains::All,
        _ => {
            let domains: BTreeSet<_> = domains.iter().map(|text| text.parse().unwrap()).collect();
            VouchedDomains::These(domains)
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
        sso_organizations: Vec::new(),
    };
    Issuer { trust, ..service_issuer(name, &["acme.com"]) }
}
