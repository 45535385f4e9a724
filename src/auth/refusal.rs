//! Why a credential was not taken: told to the log, never to the caller.

use std::fmt;

use crate::error::Error;

/// A credential that is not taken, and why. Holds no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal(pub &'static str);

/// One message for every credential that is not taken, so that nobody learns what
/// exactly was wrong with it.
const MESSAGE: &str = "the credential is not valid; show an API key or a token of a configured \
                       issuer as `authorization: Bearer KEY`";

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::unauthenticated(MESSAGE).with_source(refusal)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Refusal {}
