//! A person as an issuer describes them.

use crate::domain::EmailAddress;

/// Somebody as an issuer tells of them, before it is known how far its word
/// counts. Issuer and subject together, and nothing else, say who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who vouches.
    pub issuer: String,
    /// For whom.
    pub subject: String,
    /// The person's address. Without one the issuer says nothing about the address, and
    /// the stored one stays as it is.
    pub email: Option<EmailAddress>,
    /// Whether the issuer has verified the address; counts only along with it.
    pub email_verified: bool,
    /// Display name; empty says nothing about it.
    pub name: String,
    /// URL of a picture; empty says nothing about it.
    pub picture: String,
}
