//! Secrets that the tests search for in all output.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Secrets, in all their forms, that must not be in any output.
#[derive(Default)]
pub struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    /// Adds a secret in every form in which code may write it.
    pub fn add(&mut self, what: &'static str, secret: &str) {
        assert!(secret.len() >= 8, "{what} is too short: other text could contain it by chance");
        let bytes: Vec<String> = secret.bytes().take(12).map(|byte| byte.to_string()).collect();
        let forms = [
            secret.to_owned(),
            secret.to_uppercase(),
            secret.replace('-', ""),
            // A list of bytes, as Debug prints it.
            bytes.join(", "),
            hex::encode(secret),
            STANDARD.encode(secret),
            // Base64 of a longer text that contains the secret: base64 encodes groups of three
            // bytes, and the secret may begin at any byte of a group.
            STANDARD.encode(&secret[1..secret.len() - 1])[..8].to_owned(),
            STANDARD.encode(&secret[2..secret.len() - 1])[..8].to_owned(),
        ];
        self.0.extend(forms.into_iter().map(|form| (what, form)));
    }

    /// Adds an API key: the whole key, and its secret part alone.
    pub fn add_key(&mut self, what: &'static str, key: &str) {
        self.add(what, key);
        self.add(what, key.rsplit_once('_').unwrap().1);
    }

    /// Adds an issuer's token (JWT): its claims and its signature.
    pub fn add_jwt(&mut self, what: &'static str, token: &str) {
        for part in token.split('.').skip(1).filter(|part| part.len() >= 8) {
            self.add(what, part);
            let plain = URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
            if let Ok(plain) = String::from_utf8(plain) {
                self.add(what, &plain);
            }
        }
    }

    /// Asserts that no line of the text contains a secret.
    pub fn assert_none_in(&self, place: &str, text: &str) {
        for line in text.lines() {
            for (what, form) in &self.0 {
                assert!(!line.contains(form), "{what} in {place}, as {form}: {line}");
            }
        }
    }
}

#[test]
fn secrets_are_found_in_every_form() {
    let (token, mut secrets) = ("5f0c3e9a-0b5d-4c64-9d6e-6c0f4a3f1b2d", Secrets::default());
    secrets.add("a token", token);
    let mut protobuf = b"\x0a\x24".to_vec();
    protobuf.extend(token.bytes());
    let forms = [
        format!("GET /invites/{token}/accept"),
        token.to_uppercase(),
        format!("{:?}", token.replace('-', "")),
        format!("{:?}", token.as_bytes()),
        format!("0x{}", hex::encode(&protobuf)),
        STANDARD.encode(token),
        STANDARD.encode(format!("{{\"inviteId\": \"{token}\"}}")),
        STANDARD.encode(format!(" {{\"inviteId\": \"{token}\"}}")),
        URL_SAFE_NO_PAD.encode(protobuf),
    ];
    secrets
        .assert_none_in("a line without it", "{\"id\":\"5f0c3e9a-0000-4c64-9d6e-6c0f4a3f1b2d\"}");
    for form in forms {
        let line = format!("{{\"text\": \"{form}\"}}");
        let result = std::panic::catch_unwind(|| secrets.assert_none_in("a line", &line));
        assert!(result.is_err(), "{form}");
    }
}
