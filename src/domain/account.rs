//! Who can authenticate.

use std::str::FromStr;
use std::time::Duration;

use super::{AccountId, EmailAddress, Invalid, Timestamp, fold};

/// The issuer of accounts that an operator makes. No outside issuer may use it.
pub const LOCAL_ISSUER: &str = "guestlist";

/// A person or a service that can authenticate. Issuer and subject together, and
/// nothing else, say which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account's id here.
    pub id: AccountId,
    /// Who vouches for it.
    pub issuer: String,
    /// Whom that issuer means.
    pub subject: String,
    /// A person or a service.
    pub kind: AccountKind,
    /// What others see of it.
    pub profile: Profile,
    /// When it was first seen.
    pub created_at: Timestamp,
    /// When its profile last changed, if it has since it was first seen.
    pub updated_at: Option<Timestamp>,
}

/// What an issuer says about an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its mail address, if it has one.
    pub email: Option<EmailAddress>,
    /// Whether the issuer vouches for the address *and* is configured to vouch
    /// for its domain.
    pub email_verified: bool,
    /// Display name, as [`super::person_name`] makes it.
    pub name: String,
    /// URL of a picture, or empty.
    pub picture: String,
    /// The sign-in's name, as members see it.
    pub login_provider: String,
    /// The sign-in's kind, as members are filtered by it.
    pub login_provider_kind: LoginProviderKind,
}

/// A person or a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountKind {
    /// Somebody.
    Person,
    /// A program.
    Service,
}

/// The kind of sign-in behind an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoginProviderKind {
    /// None of the others.
    #[default]
    Other,
    /// An organization's own identity provider.
    Sso,
    /// GitHub.
    Github,
    /// Google.
    Google,
    /// A link sent by mail.
    Magiclink,
}

/// How long a change of the name or the picture alone waits for the next one. Two tokens
/// of one person that differ in these would otherwise write at every request.
const PROFILE_PERIOD: Duration = Duration::from_secs(60);

impl Account {
    /// Whether a change of nothing but the name, the picture or the sign-in's name is
    /// stored at `now`: the first one at once, then one a minute.
    pub fn may_change_appearance(&self, now: Timestamp) -> bool {
        self.updated_at.is_none_or(|at| at.plus(PROFILE_PERIOD) <= now)
    }
}

impl Profile {
    /// The address, if it is verified.
    pub fn verified_email(&self) -> Option<&EmailAddress> {
        self.email.as_ref().filter(|_| self.email_verified)
    }

    /// The name members are ordered and searched by.
    pub fn sort_name(&self) -> String {
        fold(&self.name)
    }
}

impl AccountKind {
    /// Its name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            AccountKind::Person => "person",
            AccountKind::Service => "service",
        }
    }
}

impl FromStr for AccountKind {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        [AccountKind::Person, AccountKind::Service]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(Invalid("must be person or service"))
    }
}

impl LoginProviderKind {
    const ALL: [LoginProviderKind; 5] = [
        LoginProviderKind::Other,
        LoginProviderKind::Sso,
        LoginProviderKind::Github,
        LoginProviderKind::Google,
        LoginProviderKind::Magiclink,
    ];

    /// Its name in the store and in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            LoginProviderKind::Other => "other",
            LoginProviderKind::Sso => "sso",
            LoginProviderKind::Github => "github",
            LoginProviderKind::Google => "google",
            LoginProviderKind::Magiclink => "magiclink",
        }
    }
}

impl FromStr for LoginProviderKind {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(Invalid("must be other, sso, github, google or magiclink"))
    }
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
    fn an_appearance_changes_at_once_and_then_once_a_minute() {
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
    fn names_come_back() {
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
