//! Page tokens: where the next page starts, sealed, so that nobody can make one
//! or use it for another caller, list or filter.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::encoding::Encoding;
use crate::domain::{AccountId, PageSize};
use crate::error::{Error, Result};
use crate::keyring::{Keyring, KeyringError, Purpose};

/// What a token belongs to: a list, whose it is, and what it shows.
pub struct PageOf {
    binding: Encoding,
    field: &'static str,
}

impl PageOf {
    /// `shown` names the list and encodes everything that decides which entries
    /// come in which order. `field` is the token's place in the request.
    pub fn new(shown: Encoding, caller: AccountId, field: &'static str) -> Self {
        Self { binding: shown.id(caller), field }
    }

    /// Cuts rows, of which one more than a page holds was asked for, to a page;
    /// answers the token for the next one, or an empty text on the last.
    pub fn cut<T, C: Serialize>(
        &self,
        keyring: &Keyring,
        rows: &mut Vec<T>,
        size: PageSize,
        cursor: impl Fn(&T) -> C,
    ) -> Result<String> {
        let size = usize::try_from(size.get()).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        match rows.last().filter(|_| more) {
            Some(last) => self.token(keyring, &cursor(last)),
            None => Ok(String::new()),
        }
    }

    /// The token for the page after `cursor`.
    fn token(&self, keyring: &Keyring, cursor: &impl Serialize) -> Result<String> {
        let text = serde_json::to_vec(cursor).map_err(Error::internal)?;
        let sealed = keyring
            .seal(Purpose::PageToken, self.binding.as_bytes(), &text)
            .map_err(Error::internal)?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The place a request's token stands for; none for the first page.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if the token is broken, belongs to something else, or was
    /// sealed with a secret key that this server lacks.
    pub fn cursor<T: DeserializeOwned>(&self, keyring: &Keyring, token: &str) -> Result<Option<T>> {
        if token.is_empty() {
            return Ok(None);
        }
        let foreign = || {
            Error::invalid(
                self.field,
                "must be the token of the page before, with the same filter and order",
            )
        };
        let sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| foreign())?;
        let opened = keyring.open(Purpose::PageToken, self.binding.as_bytes(), &sealed);
        let text = opened.map_err(|error| match error {
            KeyringError::UnknownKey(_) => {
                // Clients can make up such a token, but only those that may see the list.
                tracing::warn!(%error, "a page token cannot be read; the call is refused");
                let what =
                    "was made with a secret key that this server lacks; ask for the first page";
                Error::invalid(self.field, what)
            }
            _ => foreign(),
        })?;
        serde_json::from_slice(&text).map(Some).map_err(|_| foreign())
    }
}
