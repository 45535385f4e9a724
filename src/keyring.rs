//! The secret keys. They seal (encrypt and authenticate) invite tokens, which admins can
//! read again, the secrets of webhooks, and page tokens, which clients send back.
//!
//! For key rotation the keyring holds several keys: the first seals, all open. HKDF-SHA256
//! (RFC 5869) derives from each secret key one key per purpose for AES-256-GCM (NIST SP
//! 800-38D). Sealed data is `version (1) | key id (8) | nonce (12) | ciphertext | tag (16)`,
//! lengths in bytes. Nonces are random, which is safe for about 2³² seals with one key.

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

/// Each purpose has its own derived key, so that data sealed for one purpose cannot be
/// opened for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An invite's token in the store.
    InviteToken,
    /// The cursor of a list, sent to the client.
    PageToken,
    /// The secret of a webhook's endpoint in the store. It signs the requests to the endpoint.
    WebhookSecret,
}

/// The secret keys of this installation. `Debug` prints only fingerprints; dropping it
/// wipes the derived keys from memory.
pub struct Keyring {
    /// Never empty; the first seals.
    keys: Vec<Key>,
}

struct Key {
    fingerprint: [u8; 16],
    invite_token: Aes256Gcm,
    page_token: Aes256Gcm,
    webhook_secret: Aes256Gcm,
}

/// The public id of a secret key: the first half of its fingerprint.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretKeyId([u8; KEY_ID_LEN]);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyringError {
    /// No key is given.
    Empty,
    /// The nth key, counted from one, is malformed.
    NotAKey(usize),
    /// The operating system's random generator failed.
    NoRandomness(getrandom::Error),
    /// The data was sealed with this key, which the keyring lacks.
    UnknownKey(SecretKeyId),
    /// The data was sealed for another purpose or other associated data, or was modified.
    NotAuthentic,
    /// The plaintext is too long for AES-GCM.
    TooLong,
}

impl Keyring {
    /// Parses keys of 32 bytes in hexadecimal or base64 (either alphabet, padded or not). The
    /// first one seals.
    ///
    /// # Errors
    /// `Empty` without any key, `NotAKey` for a malformed key.
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

    /// Parses a key file: keys separated by line ends or commas. Empty lines and comments
    /// after `#` are ignored.
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

    /// A keyring with one new key that is stored nowhere, for tests and tools.
    ///
    /// # Errors
    /// `NoRandomness`.
    pub fn generate() -> Result<Self, KeyringError> {
        Self::parse(&Self::generate_file()?)
    }

    /// The text of a key file with one new key. Write it to a file that only the service can
    /// read.
    ///
    /// # Errors
    /// `NoRandomness`.
    pub fn generate_file() -> Result<Zeroizing<String>, KeyringError> {
        let mut secret = Zeroizing::new([0_u8; 32]);
        getrandom::fill(secret.as_mut()).map_err(KeyringError::NoRandomness)?;
        let secret = Zeroizing::new(hex::encode(secret.as_ref()));
        Ok(Zeroizing::new(format!(
            "# Guestlist's secret key. Without it the tokens of invites in the store cannot be read:\n\
             # do not lose it, keep it secret, and back it up separately from the store.\n\
             # One key per line; the first encrypts, all decrypt. Rotation: see deploy/README.md.\n\
             {}\n",
            secret.as_str()
        )))
    }

    /// A public fingerprint of each key (32 hexadecimal digits); the first one belongs to the
    /// sealing key.
    pub fn fingerprints(&self) -> Vec<String> {
        self.keys.iter().map(|key| hex::encode(key.fingerprint)).collect()
    }

    /// The ids of the keys; the first one belongs to the sealing key.
    pub fn ids(&self) -> Vec<SecretKeyId> {
        self.keys.iter().map(|key| SecretKeyId(*key.id())).collect()
    }

    /// Seals `plaintext`. [`Keyring::open`] needs the same purpose and `aad` (associated
    /// data, which is not part of the result).
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

    /// Opens data of [`Keyring::seal`] with any key of the keyring.
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
            webhook_secret: cipher(b"guestlist/v1/webhook-secret"),
        }
    }

    fn id(&self) -> &[u8; KEY_ID_LEN] {
        self.fingerprint.first_chunk().expect("a fingerprint is longer than an id")
    }

    fn cipher(&self, purpose: Purpose) -> &Aes256Gcm {
        match purpose {
            Purpose::InviteToken => &self.invite_token,
            Purpose::PageToken => &self.page_token,
            Purpose::WebhookSecret => &self.webhook_secret,
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
    /// The id of the key with this fingerprint, a text of [`Keyring::fingerprints`].
    pub fn of_fingerprint(fingerprint: &str) -> Option<Self> {
        let mut id = [0; KEY_ID_LEN];
        let digits = fingerprint.get(..KEY_ID_LEN * 2)?;
        hex::decode_to_slice(digits, &mut id).ok()?;
        Some(Self(id))
    }

    /// The id of the key that sealed the data `sealed`.
    pub fn of_sealed(sealed: &[u8]) -> Option<Self> {
        sealed.get(1..=KEY_ID_LEN)?.try_into().ok().map(Self)
    }

    /// The bytes of the id, as in sealed data.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
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
                f.write_str("there is no secret key; create one with `openssl rand -hex 32`")
            }
            KeyringError::NotAKey(nth) => write!(
                f,
                "secret key {nth} is not 32 bytes in hexadecimal or base64; \
                 create one with `openssl rand -hex 32`"
            ),
            KeyringError::NoRandomness(_) => {
                f.write_str("the operating system's random generator failed")
            }
            KeyringError::UnknownKey(id) => write!(
                f,
                "encrypted with the secret key {id}, which this server lacks: add that key below \
                 the first one in secret_key_file (or after it in secret_key) and restart"
            ),
            KeyringError::NotAuthentic => {
                f.write_str("not encrypted by this service for this purpose, or modified")
            }
            KeyringError::TooLong => f.write_str("too long to be encrypted"),
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
