//! What a token's header may say (RFC 7515 §4).
//!
//! The library takes every header whose algorithm it knows. One that brings its
//! own key, or the address of one, or asks for something this service does not
//! do, is refused here: such headers are how forged tokens work.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Header, decode_header};
use serde_json::{Map, Value};

use super::refusal::Refusal;

/// Members that bring a key.
const KEYS: [&str; 4] = ["jku", "jwk", "x5u", "x5c"];
/// Members that ask for what is not done here.
const WISHES: [&str; 3] = ["crit", "zip", "enc"];

const MAX_KEY_ID: usize = 256;

/// Reads the header of a token whose signature has not been checked.
///
/// # Errors
/// If it is not a token in compact form, or its header is not acceptable.
pub fn read(token: &str) -> Result<Header, Refusal> {
    let header = decode_header(token)
        .map_err(|_| Refusal("neither an API key nor a token of a supported algorithm"))?;
    let named = members(token).ok_or(Refusal("token header is not the JSON of RFC 7515"))?;
    if KEYS.iter().any(|name| named.contains_key(*name)) {
        return Err(Refusal("token brings its own key"));
    }
    if WISHES.iter().any(|name| named.contains_key(*name)) {
        return Err(Refusal("token asks for what is not supported"));
    }
    if header.kid.as_ref().is_some_and(|kid| kid.len() > MAX_KEY_ID) {
        return Err(Refusal("token key id is too long"));
    }
    // An issuer signs other things with the same keys (RFC 8725 §3.11): logout
    // tokens, security events, proofs of possession.
    let typ = header.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
    match typ.strip_prefix("application/").unwrap_or(&typ) {
        "jwt" | "at+jwt" => Ok(header),
        _ => Err(Refusal("token is of another type")),
    }
}

/// The members by name: in the library's header, `null` is the same as absent.
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
    fn a_plain_header_is_taken() {
        for header in [
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"RS256","typ":"JWT","kid":"1","x5t":"abc","unknown":{"a":[1]}}"#,
            r#"{"alg":"RS256","typ":"at+jwt"}"#,
            r#"{"alg":"RS256","typ":"application/at+JWT"}"#,
        ] {
            assert_eq!(read(&token(header)).unwrap().alg, Algorithm::RS256);
        }
        let longest = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "a".repeat(MAX_KEY_ID));
        assert!(read(&token(&longest)).is_ok());
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
            assert!(read(&token(&format!(r#"{{"alg":"RS256",{member}}}"#))).is_err(), "{member}");
        }
        let long = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "a".repeat(257));
        assert!(read(&token(&long)).is_err());
    }

    #[test]
    fn p31_only_exact_names_of_known_algorithms_are_taken() {
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
    fn what_is_not_three_parts_is_refused() {
        let whole = token(r#"{"alg":"RS256"}"#);
        for text in ["", ".", "..", "...", "a.b.c", "Bearer", "{}.{}.{}"] {
            assert!(read(text).is_err(), "{text}");
        }
        for text in [format!("{whole}.x"), format!(" {whole}")] {
            assert!(read(&text).is_err(), "{text}");
        }
    }
}
