//! API keys: `gl_<16 hex id>_<64 hex secret>`.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{AccountId, Invalid, KeyId, OrganizationId, Timestamp, text_enum};

/// A stored API key, without its secret.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// The public half of the key.
    pub id: KeyId,
    /// SHA-256 of the secret half.
    pub hash: SecretHash,
    /// The account of the requests with this key.
    pub account: AccountId,
    /// Rights in addition to those of the account.
    pub scope: Option<KeyScope>,
    /// Requests with this key reach this organization only. `None`: every organization
    /// of the account.
    pub organization: Option<OrganizationId>,
    pub created_at: Timestamp,
    /// `None`: the key does not expire.
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// Accurate to about a minute.
    pub last_used_at: Option<Timestamp>,
}

/// A complete API key. It is shown once, when it is created; `Debug` prints only its id.
pub struct ApiKeySecret {
    id: KeyId,
    secret: Zeroizing<[u8; 32]>,
}

/// SHA-256 of a secret, which the store keeps instead of the secret. A slow password hash
/// is not needed: random secrets of 122 bits and more cannot be guessed.
#[derive(Debug, Clone, Copy)]
pub struct SecretHash([u8; 32]);

/// Rights of a key in addition to those of its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyScope {
    /// Administration of the service and the audit trail of deleted organizations; no
    /// rights inside organizations.
    Operator,
    /// For an internal service that acts for the people that it has authenticated.
    Act,
    /// Reads the events of all organizations.
    Events,
}

impl ApiKey {
    /// Neither revoked nor expired at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

impl ApiKeySecret {
    /// A new key from the operating system's generator.
    ///
    /// # Errors
    /// If the generator fails.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut id = [0; 8];
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut id)?;
        getrandom::fill(secret.as_mut())?;
        Ok(Self { id: KeyId::from_bytes(id), secret })
    }

    pub fn id(&self) -> &KeyId {
        &self.id
    }

    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.secret.as_ref()).into())
    }

    /// The complete key as text. Named so that every place that reveals it can be found.
    pub fn expose(&self) -> Zeroizing<String> {
        let secret = Zeroizing::new(hex::encode(self.secret.as_ref()));
        Zeroizing::new(format!("gl_{}_{}", self.id, secret.as_str()))
    }

    /// Parses the credentials of HTTP Basic: user = id, with or without `gl_`, and
    /// password = secret. The complete key as the password is accepted too.
    ///
    /// # Errors
    /// If they are not the two halves of a key.
    pub fn from_basic(user: &str, password: &str) -> Result<Self, Invalid> {
        if password.starts_with("gl_") {
            let key: Self = password.parse()?;
            let user = user.strip_prefix("gl_").unwrap_or(user);
            return if user.is_empty() || user == key.id.as_str() {
                Ok(key)
            } else {
                Err(NOT_A_KEY)
            };
        }
        Self::from_halves(user.strip_prefix("gl_").unwrap_or(user), password)
    }

    fn from_halves(id: &str, secret: &str) -> Result<Self, Invalid> {
        let id = id.parse().map_err(|_| NOT_A_KEY)?;
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(secret, bytes.as_mut()).map_err(|_| NOT_A_KEY)?;
        Ok(Self { id, secret: bytes })
    }
}

const NOT_A_KEY: Invalid = Invalid("must be an API key: gl_<id>_<secret>");

impl FromStr for ApiKeySecret {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (id, secret) =
            text.strip_prefix("gl_").and_then(|rest| rest.split_once('_')).ok_or(NOT_A_KEY)?;
        Self::from_halves(id, secret)
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeySecret({})", self.id)
    }
}

impl From<[u8; 32]> for SecretHash {
    fn from(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl SecretHash {
    /// # Errors
    /// If `bytes` are not 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        bytes.try_into().map(Self).map_err(|_| Invalid("must be a SHA-256 of 32 bytes"))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn into_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Compares in constant time.
    pub fn matches(&self, other: &SecretHash) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

text_enum! {
    KeyScope, "must be operator, act or events":
        Operator = "operator", Act = "act", Events = "events";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_parsed_from_its_text_or_from_id_and_secret() {
        let key = ApiKeySecret::generate().unwrap();
        let text = key.expose();
        let again: ApiKeySecret = text.parse().unwrap();
        assert_eq!(again.id(), key.id());
        assert!(again.hash().matches(&key.hash()));

        let (_, secret) = text[3..].split_once('_').unwrap();
        for (user, password) in [
            (key.id().as_str().to_owned(), secret),
            (format!("gl_{}", key.id()), secret),
            (key.id().as_str().to_owned(), text.as_str()),
            (String::new(), text.as_str()),
        ] {
            let basic = ApiKeySecret::from_basic(&user, password).unwrap();
            assert!(basic.hash().matches(&key.hash()));
        }
        assert!(ApiKeySecret::from_basic("0000000000000000", &text).is_err());
    }

    #[test]
    fn scope_names_parse_back_to_their_values() {
        for scope in KeyScope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert!("".parse::<KeyScope>().is_err());
    }

    #[test]
    fn p05_debug_shows_only_the_id() {
        let key = ApiKeySecret::generate().unwrap();
        assert_eq!(format!("{key:?}"), format!("ApiKeySecret({})", key.id()));
    }

    #[test]
    fn a_malformed_key_is_rejected() {
        let key = ApiKeySecret::generate().unwrap().expose().to_string();
        let short = key[..key.len() - 1].to_owned();
        for text in ["", "gl_", "gl__", "sk_1_2", short.as_str(), &format!("{key}0"), &key[3..]] {
            assert!(text.parse::<ApiKeySecret>().is_err(), "{text}");
        }
    }
}
