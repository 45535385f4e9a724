//! The secret keys: they seal what must be shown again (tokens) and what goes
//! out and comes back (page tokens).
//!
//! Several keys can be held at once, so that they can be exchanged: the first
//! seals, every one opens. A key is never used itself; HKDF-SHA256 (RFC 5869)
//! derives one key per purpose from it, and AES-256-GCM (NIST SP 800-38D) seals.
//! What is sealed reads `version (1) | key id (8) | nonce (12) | ciphertext | tag (16)`.
//! Nonces are random, which is sound for some 2³² seals with one key.

use std::fmt;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const KEY_ID_LEN: usize = 8;
const NONCE_LEN: usize = 12;
const HEADER_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;

/// What something is sealed for. Each purpose has its own key, so that what was
/// sealed for one never opens as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The copy of an invite's token that admins are shown again.
    InviteToken,
    /// The place in a list that a client hands back.
    PageToken,
}

/// The secret keys of this installation. `Debug` shows fingerprints alone; the
/// derived keys are wiped from memory when it is dropped.
pub struct Keyring {
    /// Never empty; the first seals.
    keys: Vec<Key>,
}

struct Key {
    fingerprint: [u8; 16],
    invite_token: Aes256Gcm,
    page_token: Aes256Gcm,
}

/// Names a secret key without giving it away: the first half of its fingerprint.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretKeyId([u8; KEY_ID_LEN]);

/// Why keys cannot be used, or something sealed cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyringError {
    /// There is no key at all.
    Empty,
    /// The nth key, counted from one, is not a key.
    NotAKey(usize),
    /// The operating system gave no random bytes.
    NoRandomness(getrandom::Error),
    /// It was sealed with this key, which is not held.
    UnknownKey(SecretKeyId),
    /// It was not sealed with these keys for this purpose and associated data,
    /// or was changed since.
    NotAuthentic,
    /// It is too long to be sealed.
    TooLong,
}

impl Keyring {
    /// Reads keys of 32 bytes in hexadecimal or base64 (either alphabet, padded
    /// or not). The first seals.
    ///
    /// # Errors
    /// `Empty` without any key, `NotAKey` for what is none.
    pub fn from_texts<T: AsRef<str>>(
        texts: impl IntoIterator<Item = T>,
    ) -> Result<Self, KeyringError> {
        let keys = texts
            .into_iter()
            .enumerate()
            .map(|(i, text)| {
                let secret = decode(text.as_ref().trim()).ok_or(KeyringError::NotAKey(i + 1))?;
                Ok(Key::derive(&secret))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(KeyringError::Empty);
        }
        Ok(Self { keys })
    }

    /// Reads a key file, or keys in one setting: separated by line ends or
    /// commas; empty lines and what follows a `#` do not count.
    ///
    /// # Errors
    /// As [`Keyring::from_texts`].
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        Self::from_texts(
            text.lines()
                .map(|line| line.split_once('#').map_or(line, |(before, _)| before))
                .flat_map(|line| line.split(','))
                .map(str::trim)
                .filter(|key| !key.is_empty()),
        )
    }

    /// One new key, which lives no longer than this value.
    ///
    /// # Errors
    /// `NoRandomness`.
    pub fn generate() -> Result<Self, KeyringError> {
        Self::parse(&Self::generate_file()?)
    }

    /// The text of a key file with one new key, to be kept where only the
    /// service can read it.
    ///
    /// # Errors
    /// `NoRandomness`.
    pub fn generate_file() -> Result<Zeroizing<String>, KeyringError> {
        let mut secret = Zeroizing::new([0_u8; 32]);
        getrandom::fill(secret.as_mut()).map_err(KeyringError::NoRandomness)?;
        let secret = Zeroizing::new(hex::encode(secret.as_ref()));
        Ok(Zeroizing::new(format!(
            "# Guestlist's secret key. Invites in the store cannot be shown again without it:\n\
             # keep it, keep it secret, and back it up apart from the store.\n\
             # One key a line; the first seals, all open. deploy/README.md says how to exchange it.\n\
             {}\n",
            secret.as_str()
        )))
    }

    /// Names each key without giving it away (32 hexadecimal digits); the first
    /// is the sealing key's.
    pub fn fingerprints(&self) -> Vec<String> {
        self.keys.iter().map(|key| hex::encode(key.fingerprint)).collect()
    }

    /// The ids of the keys; the first is the sealing key's.
    pub fn ids(&self) -> Vec<SecretKeyId> {
        self.keys.iter().map(|key| SecretKeyId(*key.id())).collect()
    }

    /// Seals `plaintext`; only the same purpose and `aad` (associated data, not
    /// kept in the result) open it again.
    ///
    /// # Errors
    /// `NoRandomness`, or `TooLong` beyond AES-GCM's bound of 64 GiB.
    pub fn seal(
        &self,
        purpose: Purpose,
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, KeyringError> {
        let key = self.keys.first().ok_or(KeyringError::Empty)?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(KeyringError::NoRandomness)?;
        let ciphertext = key
            .cipher(purpose)
            .encrypt(&Nonce::from(nonce), Payload { msg: plaintext, aad })
            .map_err(|_| KeyringError::TooLong)?;

        let mut sealed = Vec::with_capacity(HEADER_LEN + ciphertext.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(key.id());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    /// Opens what [`Keyring::seal`] made with any key that is held.
    ///
    /// # Errors
    /// `UnknownKey` or `NotAuthentic`.
    pub fn open(
        &self,
        purpose: Purpose,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        let (&version, rest) = sealed.split_first().ok_or(KeyringError::NotAuthentic)?;
        let (id, rest) =
            rest.split_first_chunk::<KEY_ID_LEN>().ok_or(KeyringError::NotAuthentic)?;
        let (nonce, ciphertext) =
            rest.split_first_chunk::<NONCE_LEN>().ok_or(KeyringError::NotAuthentic)?;
        if version != VERSION {
            return Err(KeyringError::NotAuthentic);
        }
        let key = self
            .keys
            .iter()
            .find(|key| key.id() == id)
            .ok_or(KeyringError::UnknownKey(SecretKeyId(*id)))?;
        key.cipher(purpose)
            .decrypt(&Nonce::from(*nonce), Payload { msg: ciphertext, aad })
            .map(Zeroizing::new)
            .map_err(|_| KeyringError::NotAuthentic)
    }
}

impl Key {
    fn derive(secret: &[u8; 32]) -> Self {
        let hkdf = Hkdf::<Sha256>::new(None, secret);
        let cipher = |info: &[u8]| {
            let mut key = Zeroizing::new([0_u8; 32]);
            hkdf.expand(info, key.as_mut()).expect("HKDF-SHA256 gives up to 8160 bytes");
            Aes256Gcm::new((&*key).into())
        };
        let mut fingerprint = [0; 16];
        hkdf.expand(b"guestlist/v1/fingerprint", &mut fingerprint)
            .expect("HKDF-SHA256 gives up to 8160 bytes");
        Self {
            fingerprint,
            invite_token: cipher(b"guestlist/v1/invite-token"),
            page_token: cipher(b"guestlist/v1/page-token"),
        }
    }

    fn id(&self) -> &[u8; KEY_ID_LEN] {
        self.fingerprint.first_chunk().expect("a fingerprint is longer than an id")
    }

    fn cipher(&self, purpose: Purpose) -> &Aes256Gcm {
        match purpose {
            Purpose::InviteToken => &self.invite_token,
            Purpose::PageToken => &self.page_token,
        }
    }
}

/// 32 bytes from 64 hexadecimal digits or from base64.
fn decode(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = Zeroizing::new(match text.len() {
        64 => hex::decode(text).ok()?,
        _ if text.contains(['-', '_']) => {
            GeneralPurpose::new(&base64::alphabet::URL_SAFE, config).decode(text).ok()?
        }
        _ => GeneralPurpose::new(&base64::alphabet::STANDARD, config).decode(text).ok()?,
    });
    let mut secret = Zeroizing::new([0; 32]);
    if bytes.len() != secret.len() {
        return None;
    }
    secret.copy_from_slice(&bytes);
    Some(secret)
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keyring").field(&self.fingerprints()).finish()
    }
}

impl SecretKeyId {
    /// The id of the key with this fingerprint, which is text of
    /// [`Keyring::fingerprints`].
    pub fn of_fingerprint(fingerprint: &str) -> Option<Self> {
        let mut id = [0; KEY_ID_LEN];
        let digits = fingerprint.get(..KEY_ID_LEN * 2)?;
        hex::decode_to_slice(digits, &mut id).ok()?;
        Some(Self(id))
    }
}

impl fmt::Display for SecretKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SecretKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKeyId({self})")
    }
}

impl fmt::Display for KeyringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyringError::Empty => {
                f.write_str("there is no secret key; make one with `openssl rand -hex 32`")
            }
            KeyringError::NotAKey(nth) => write!(
                f,
                "secret key {nth} is not 32 bytes in hexadecimal or base64; \
                 make one with `openssl rand -hex 32`"
            ),
            KeyringError::NoRandomness(_) => {
                f.write_str("the operating system gave no random bytes")
            }
            KeyringError::UnknownKey(id) => write!(
                f,
                "sealed with the secret key {id}, which this server does not have: add that key \
                 below the first one in secret_key_file (or after it in secret_key) and restart"
            ),
            KeyringError::NotAuthentic => {
                f.write_str("not sealed by this service for this use, or changed since")
            }
            KeyringError::TooLong => f.write_str("too long to be sealed"),
        }
    }
}

impl std::error::Error for KeyringError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            KeyringError::NoRandomness(cause) => Some(cause),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
