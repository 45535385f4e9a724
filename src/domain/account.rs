//! Accounts: people and services that can authenticate.

use std::time::Duration;

use super::{AccountId, EmailAddress, Timestamp, fold, text_enum};

/// The issuer of accounts that an operator creates. Configured issuers must not use it.
pub const LOCAL_ISSUER: &str = "guestlist";

/// The issuer of accounts that were erased; the subject is the account's id. Configured
/// issuers must not use it.
pub const ERASED_ISSUER: &str = "erased";

/// A person or a service that can authenticate, identified by issuer and subject alone:
/// an address may move to another person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    /// The `iss` of the account's tokens.
    pub issuer: String,
    /// The `sub` of the account's tokens.
    pub subject: String,
    pub kind: AccountKind,
    pub profile: Profile,
    /// When the account was created, usually by its first request.
    pub created_at: Timestamp,
    /// The time of the profile's last change; `None` if it has not changed.
    pub updated_at: Option<Timestamp>,
}

/// The claims of an issuer about an account. Other members see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub email: Option<EmailAddress>,
    /// The issuer states that the address is verified, *and* the settings trust the issuer
    /// for the address's domain.
    pub email_verified: bool,
    /// Display name, cleaned by [`super::person_name`].
    pub name: String,
    /// URL of a picture, or empty.
    pub picture: String,
    /// Display name of the sign-in, shown to members.
    pub login_provider: String,
    /// Lists of members can be filtered by it.
    pub login_provider_kind: LoginProviderKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountKind {
    Person,
    Service,
}

/// The kind of an issuer's sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoginProviderKind {
    #[default]
    Other,
    /// An organization's own identity provider.
    Sso,
    Github,
    Google,
    /// A link sent by mail.
    Magiclink,
}

/// The least time between two changes of only a name or a picture. Without it, a person
/// with two tokens that differ in these would cause a write with every request.
const APPEARANCE_PERIOD: Duration = Duration::from_secs(60);

impl Account {
    /// Whether the account was erased: only its id is left.
    pub fn is_erased(&self) -> bool {
        self.issuer == ERASED_ISSUER
    }

    /// Whether a change of only the name, the picture or the sign-in's name may be stored
    /// at `now`: the first one immediately, then one a minute.
    pub fn may_change_appearance(&self, now: Timestamp) -> bool {
        self.updated_at.is_none_or(|at| at.plus(APPEARANCE_PERIOD) <= now)
    }
}

impl Profile {
    pub fn verified_email(&self) -> Option<&EmailAddress> {
        self.email.as_ref().filter(|_| self.email_verified)
    }

    /// The form of the name by which lists are ordered and which searches compare.
    pub fn sort_name(&self) -> String {
        fold(&self.name)
    }
}

text_enum! {
    AccountKind, "must be person or service": Person = "person", Service = "service";
    LoginProviderKind, "must be other, sso, github, google or magiclink":
        Other = "other", Sso = "sso", Github = "github", Google = "google",
        Magiclink = "magiclink";
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn account(updated_at: Option<i64>) -> Account {
        Account {
            id: Uuid::from_u128(1).into(),
            issuer: String::new(),
            subject: String::new(),
            kind: AccountKind::Person,
            profile: Profile {
                email: Some("ana@example.com".parse().unwrap()),
                email_verified: true,
                name: "Ana É".to_owned(),
                picture: String::new(),
                login_provider: String::new(),
                login_provider_kind: LoginProviderKind::Other,
            },
            created_at: Timestamp::from_micros(0),
            updated_at: updated_at.map(Timestamp::from_micros),
        }
    }

    #[test]
    fn the_appearance_may_change_at_most_once_a_minute() {
        const MINUTE: i64 = 60_000_000;
        let may = |updated_at, now| {
            account(updated_at).may_change_appearance(Timestamp::from_micros(now))
        };
        assert!(may(None, 0));
        assert!(!may(Some(5), 5));
        assert!(!may(Some(5), 4 + MINUTE));
        assert!(may(Some(5), 5 + MINUTE));
        assert!(!may(Some(5), 0), "another replica's clock may be ahead");
    }

    #[test]
    fn names_parse_back_to_their_values() {
        for kind in [AccountKind::Person, AccountKind::Service] {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        for kind in LoginProviderKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("".parse::<AccountKind>().is_err() && "".parse::<LoginProviderKind>().is_err());
    }

    #[test]
    fn p23_only_a_verified_address_counts() {
        let mut profile = account(None).profile;
        assert_eq!(profile.verified_email(), profile.email.as_ref());
        profile.email_verified = false;
        assert_eq!(profile.verified_email(), None);
        profile.email_verified = true;
        profile.email = None;
        assert_eq!(profile.verified_email(), None);
    }
}
