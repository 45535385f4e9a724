//! Messages about signing in.

use super::Fields;
use crate::error::Result;
use crate::operations::sign_in::{Begin, Finish, MAX_REFRESH_BYTES, MAX_RENEWED_BYTES, Renew};
use crate::proto::guestlist::v1 as pb;

const MAX_ISSUER: usize = 512;
/// The length of a SHA-256 hash in base64url.
const CHALLENGE: usize = 43;

pub fn begin_sign_in(message: pb::BeginSignInRequest) -> Result<Begin> {
    let mut fields = Fields::default();
    fields.text("issuer", &message.issuer, MAX_ISSUER);
    random(&mut fields, "state", &message.state);
    random(&mut fields, "nonce", &message.nonce);
    if message.code_challenge.len() != CHALLENGE || !message.code_challenge.bytes().all(is_url_safe)
    {
        fields
            .wrong("code_challenge", "must be a SHA-256 hash in base64url, at most 43 characters");
    }
    fields.finish(|| {
        Some(Begin {
            issuer: message.issuer,
            state: message.state,
            nonce: message.nonce,
            code_challenge: message.code_challenge,
        })
    })
}

pub fn finish_sign_in(message: pb::FinishSignInRequest) -> Result<Finish> {
    let mut fields = Fields::default();
    fields.text("issuer", &message.issuer, MAX_ISSUER);
    fields.text("response_issuer", &message.response_issuer, MAX_ISSUER);
    if message.code.is_empty() {
        fields.wrong("code", "must be set");
    }
    fields.text("code", &message.code, 4096);
    let verifier = &message.code_verifier;
    let is_verifier = |b: u8| is_url_safe(b) || matches!(b, b'.' | b'~');
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(is_verifier) {
        fields.wrong("code_verifier", "must be 43 to 128 characters of RFC 7636");
    }
    random(&mut fields, "nonce", &message.nonce);
    fields.finish(|| {
        Some(Finish {
            issuer: message.issuer,
            code: message.code.into(),
            response_issuer: Some(message.response_issuer).filter(|issuer| !issuer.is_empty()),
            code_verifier: message.code_verifier.into(),
            nonce: message.nonce,
        })
    })
}

pub fn renew_sign_in(message: pb::RenewSignInRequest) -> Result<Renew> {
    let mut fields = Fields::default();
    fields.text("issuer", &message.issuer, MAX_ISSUER);
    let tokens = [
        ("refresh_token", &message.refresh_token, MAX_REFRESH_BYTES),
        ("token", &message.token, MAX_RENEWED_BYTES),
    ];
    for (field, token, max) in tokens {
        if token.is_empty() {
            fields.wrong(field, "must be set");
        }
        fields.text(field, token, max);
    }
    fields.finish(|| {
        Some(Renew {
            issuer: message.issuer,
            refresh_token: message.refresh_token.into(),
            token: message.token.into(),
        })
    })
}

fn random(fields: &mut Fields, field: &str, text: &str) {
    if !(16..=128).contains(&text.len()) || !text.bytes().all(is_url_safe) {
        fields.wrong(field, "must be 16 to 128 characters of A-Z, a-z, 0-9, - and _");
    }
}

fn is_url_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}
