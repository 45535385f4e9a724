//! The claims of an issuer about a person.

use crate::domain::EmailAddress;

/// The claims of an issuer about a person, before the settings decide which of them are
/// trusted. Only issuer and subject identify the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub issuer: String,
    pub subject: String,
    /// `None`: the issuer states no address, and the stored one stays.
    pub email: Option<EmailAddress>,
    /// The issuer states that `email` is verified. Ignored without `email`.
    pub email_verified: bool,
    /// Display name; if empty, the stored one stays.
    pub name: String,
    /// URL of a picture; if empty, the stored one stays.
    pub picture: String,
}
