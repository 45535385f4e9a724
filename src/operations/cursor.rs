//! Page tokens: the start of the next page, encrypted and authenticated, so that a client
//! can neither forge a token nor use it for another caller, list or filter.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::encoding::Encoding;
use crate::domain::{AccountId, PageSize};
use crate::error::{Error, Result};
use crate::keyring::{Keyring, KeyringError, Purpose};

/// Makes and reads the page tokens of one list request.
pub struct Pagination {
    binding: Encoding,
    field: &'static str,
}

impl Pagination {
    /// `list` encodes the list's name, filter and order. `field` is the request's field
    /// with the page token, for errors.
    pub fn new(list: Encoding, caller: AccountId, field: &'static str) -> Self {
        Self { binding: list.id(caller), field }
    }

    /// Truncates `rows` to `size`. The caller has requested `size + 1` rows: the additional
    /// one shows that there is a next page. Returns the token for the next page, or an empty
    /// text on the last page.
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
    pub fn token(&self, keyring: &Keyring, cursor: &impl Serialize) -> Result<String> {
        let text = serde_json::to_vec(cursor).map_err(Error::internal)?;
        let sealed = keyring
            .seal(Purpose::PageToken, self.binding.as_bytes(), &text)
            .map_err(Error::internal)?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The cursor in a request's token; `None` for the first page.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if the token is malformed, belongs to another caller, list, filter
    /// or order, or was sealed with a secret key that this server lacks.
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
                // Clients can invent such a token, but only if they may read the list.
                tracing::warn!(%error, "cannot open a page token; the request is rejected");
                let what =
                    "was made with a secret key that this server lacks; ask for the first page";
                Error::invalid(self.field, what)
            }
            _ => foreign(),
        })?;
        serde_json::from_slice(&text).map(Some).map_err(|_| foreign())
    }
}
