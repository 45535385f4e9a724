//! Signed tokens in their compact form (RFC 7515), taken apart strictly.
//!
//! Only what decides about the signature is looked at here. A header that brings
//! its own key, or the address of one, or asks for something this service does
//! not do, is refused: such headers are how forged tokens work.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

use super::refusal::Refusal;
use crate::config::Algorithm;

const MAX_KEY_ID: usize = 256;

/// A token whose signature has not been checked.
#[derive(Debug)]
pub struct Jws<'a> {
    /// The algorithm it says it was signed with.
    pub algorithm: Algorithm,
    /// The key it says it was signed with.
    pub key_id: Option<String>,
    /// The payload, not to be believed yet.
    pub payload: Vec<u8>,
    /// What was signed.
    pub signed: &'a str,
    /// The signature.
    pub signature: Vec<u8>,
}

/// The header of RFC 7515 §4. What is not named here is ignored, as it asks.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default)]
    jku: Present,
    #[serde(default)]
    jwk: Present,
    #[serde(default)]
    x5u: Present,
    #[serde(default)]
    x5c: Present,
    #[serde(default)]
    crit: Present,
    #[serde(default)]
    zip: Present,
    #[serde(default)]
    enc: Present,
}

/// Whether a member is there at all, be it as `null`.
#[derive(Default)]
struct Present(bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IgnoredAny).map(|_| Self(true))
    }
}

impl<'a> Jws<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// If it is not a token in compact form, or its header is not acceptable.
    pub fn parse(token: &'a str) -> Result<Self, Refusal> {
        const SHAPE: Refusal = Refusal("neither an API key nor a signed token");
        let (signed, signature) = token.rsplit_once('.').ok_or(SHAPE)?;
        let (header, payload) = signed.split_once('.').ok_or(SHAPE)?;
        // The decoder takes no padding, no line ends and no stray last bits: one
        // token has one form. A fourth part has a dot in it, which is refused.
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| SHAPE);
        let (header, payload) = (decode(header)?, decode(payload)?);
        let signature = decode(signature)?;

        let header: Header = serde_json::from_slice(&header)
            .map_err(|_| Refusal("token header is not the JSON of RFC 7515"))?;
        header.check()?;
        let algorithm = header
            .alg
            .parse()
            .map_err(|_| Refusal("token algorithm is none that can be accepted"))?;
        Ok(Self { algorithm, key_id: header.kid, payload, signed, signature })
    }
}

impl Header {
    fn check(&self) -> Result<(), Refusal> {
        if self.jku.0 || self.jwk.0 || self.x5u.0 || self.x5c.0 {
            return Err(Refusal("token brings its own key"));
        }
        if self.crit.0 || self.zip.0 || self.enc.0 {
            return Err(Refusal("token asks for what is not supported"));
        }
        if self.kid.as_ref().is_some_and(|kid| kid.len() > MAX_KEY_ID) {
            return Err(Refusal("token key id is too long"));
        }
        // An issuer signs other things with the same keys (RFC 8725 §3.11):
        // logout tokens, security events, proofs of possession.
        let typ = self.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
        match typ.strip_prefix("application/").unwrap_or(&typ) {
            "jwt" | "at+jwt" => Ok(()),
            _ => Err(Refusal("token is of another type")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        let encode = |part: &str| URL_SAFE_NO_PAD.encode(part);
        format!("{}.{}.{}", encode(header), encode("{}"), encode("signature"))
    }

    #[test]
    fn a_plain_header_is_taken() {
        for header in [
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"RS256","typ":"JWT","kid":"1","x5t":"abc","unknown":{"a":[1]}}"#,
            r#"{"alg":"RS256","typ":"at+jwt"}"#,
            r#"{"alg":"RS256","typ":"application/at+JWT"}"#,
        ] {
            let token = token(header);
            let jws = Jws::parse(&token).unwrap();
            assert_eq!(jws.algorithm, Algorithm::Rs256);
            assert_eq!(jws.payload, b"{}");
            assert_eq!(jws.signature, b"signature");
            assert!(token.starts_with(jws.signed));
        }
    }

    #[test]
    fn p31_a_header_that_brings_a_key_or_asks_for_more_is_refused() {
        for member in [
            r#""jku":"https://evil.example""#,
            r#""jku":null"#,
            r#""jwk":{"kty":"RSA"}"#,
            r#""x5u":"https://evil.example""#,
            r#""x5c":["MII"]"#,
            r#""crit":["b64"],"b64":false"#,
            r#""zip":"DEF""#,
            r#""enc":"A256GCM""#,
            r#""typ":"logout+jwt""#,
            r#""typ":"dpop+jwt""#,
            r#""alg":"RS256""#,
            r#""kid":1"#,
        ] {
            assert!(
                Jws::parse(&token(&format!(r#"{{"alg":"RS256",{member}}}"#))).is_err(),
                "{member}"
            );
        }
    }

    #[test]
    fn p31_only_exact_names_of_asymmetric_algorithms_are_taken() {
        for alg in [
            "none", "None", "NONE", "", "HS256", "HS384", "HS512", "rs256", "Rs256", "RS256 ",
            "eddsa", "ES256K", "RSA-OAEP",
        ] {
            assert!(Jws::parse(&token(&format!(r#"{{"alg":"{alg}"}}"#))).is_err(), "{alg}");
        }
        assert!(Jws::parse(&token("{}")).is_err());
        assert!(Jws::parse(&token(r#"{"alg":["RS256"]}"#)).is_err());
    }

    #[test]
    fn what_is_not_three_parts_of_base64url_is_refused() {
        let whole = token(r#"{"alg":"RS256"}"#);
        for text in ["", ".", "..", "...", "a.b.c", "Bearer", "{}.{}.{}"] {
            assert!(Jws::parse(text).is_err(), "{text}");
        }
        for text in
            [format!("{whole}="), format!("{whole}.x"), format!(" {whole}"), format!("{whole}\n")]
        {
            assert!(Jws::parse(&text).is_err(), "{text}");
        }
    }
}
