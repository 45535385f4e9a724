//! The reasons to reject a credential, for the log and never for the client.

use std::fmt;

use crate::error::Error;

/// The reason to reject a credential. Contains no part of the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthRejection(pub &'static str);

/// The message for every rejected credential, so that a client does not learn the reason.
const MESSAGE: &str = "the credential is not valid; show an API key or a token of a configured \
                       issuer as `authorization: Bearer KEY`";

impl From<AuthRejection> for Error {
    fn from(rejection: AuthRejection) -> Self {
        Error::unauthenticated(MESSAGE).with_source(rejection)
    }
}

impl fmt::Display for AuthRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for AuthRejection {}
