//! Checks of a token's header (RFC 7515 §4).
//!
//! The library accepts every header with a known algorithm. This module rejects headers that
//! contain a key or the URL of a key, or that require unsupported features: forged tokens
//! use them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Header, decode_header};
use serde_json::{Map, Value};

use super::rejection::AuthRejection;

/// Members with a key or its URL.
const KEY_MEMBERS: [&str; 4] = ["jku", "jwk", "x5u", "x5c"];
/// Members that require unsupported features.
const UNSUPPORTED_MEMBERS: [&str; 3] = ["crit", "zip", "enc"];

const MAX_KEY_ID_BYTES: usize = 256;

/// Parses and checks the header; does not verify the signature.
pub fn read(token: &str) -> Result<Header, AuthRejection> {
    let header = decode_header(token)
        .map_err(|_| AuthRejection("neither an API key nor a token of a supported algorithm"))?;
    let named = members(token).ok_or(AuthRejection("token header is not the JSON of RFC 7515"))?;
    if KEY_MEMBERS.iter().any(|name| named.contains_key(*name)) {
        return Err(AuthRejection("token header contains a key or the URL of one"));
    }
    if UNSUPPORTED_MEMBERS.iter().any(|name| named.contains_key(*name)) {
        return Err(AuthRejection("token header requires an unsupported feature"));
    }
    if header.kid.as_ref().is_some_and(|kid| kid.len() > MAX_KEY_ID_BYTES) {
        return Err(AuthRejection("token key id is too long"));
    }
    // Issuers sign other kinds of tokens with the same keys (RFC 8725 §3.11): logout tokens,
    // security events, proofs of possession.
    let typ = header.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
    match typ.strip_prefix("application/").unwrap_or(&typ) {
        "jwt" | "at+jwt" => Ok(header),
        _ => Err(AuthRejection("token has an unsupported type")),
    }
}

/// All members of the header. The library's type does not distinguish `null` from absent.
fn members(token: &str) -> Option<Map<String, Value>> {
    let (header, _) = token.split_once('.')?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::Algorithm;

    fn token(header: &str) -> String {
        let encode = |part: &str| URL_SAFE_NO_PAD.encode(part);
        format!("{}.{}.{}", encode(header), encode("{}"), encode("signature"))
    }

    #[test]
    fn a_valid_header_is_accepted() {
        for header in [
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"RS256","typ":"JWT","kid":"1","x5t":"abc","unknown":{"a":[1]}}"#,
            r#"{"alg":"RS256","typ":"at+jwt"}"#,
            r#"{"alg":"RS256","typ":"application/at+JWT"}"#,
        ] {
            assert_eq!(read(&token(header)).unwrap().alg, Algorithm::RS256);
        }
        let longest = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "a".repeat(MAX_KEY_ID_BYTES));
        assert!(read(&token(&longest)).is_ok());
    }

    #[test]
    fn p31_a_header_with_a_key_or_an_unsupported_member_is_rejected() {
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
            assert!(read(&token(&format!(r#"{{"alg":"RS256",{member}}}"#))).is_err(), "{member}");
        }
        let long = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "a".repeat(257));
        assert!(read(&token(&long)).is_err());
    }

    #[test]
    fn p31_only_exact_names_of_known_algorithms_are_accepted() {
        for alg in [
            "none", "None", "NONE", "", "hs256", "rs256", "Rs256", "RS256 ", "eddsa", "ES256K",
            "RSA-OAEP",
        ] {
            assert!(read(&token(&format!(r#"{{"alg":"{alg}"}}"#))).is_err(), "{alg}");
        }
        assert!(read(&token("{}")).is_err());
        assert!(read(&token(r#"{"alg":["RS256"]}"#)).is_err());
    }

    #[test]
    fn a_malformed_token_is_rejected() {
        let whole = token(r#"{"alg":"RS256"}"#);
        for text in ["", ".", "..", "...", "a.b.c", "Bearer", "{}.{}.{}"] {
            assert!(read(text).is_err(), "{text}");
        }
        for text in [format!("{whole}.x"), format!(" {whole}")] {
            assert!(read(&text).is_err(), "{text}");
        }
    }
}
