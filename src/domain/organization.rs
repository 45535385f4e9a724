//! Organizations.

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;

use super::text::{is_blank, is_unfit_for_names, is_zero_width};
use super::{AccountId, EmailDomain, Invalid, OrganizationId, Timestamp};

/// An organization as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// The name people see.
    pub name: OrganizationName,
    /// Domains whose verified addresses may join by organization id.
    pub invite_domains: Vec<EmailDomain>,
    /// What it has subscribed to.
    pub tier: Tier,
    /// The account that made it; joins by id as long as there is no admin.
    pub creator: AccountId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When name, domains or tier last changed.
    pub updated_at: Timestamp,
    /// Grows with every change inside the organization; orders a removal
    /// against the invites made before and after it.
    pub version: i64,
    /// Active and suspended members.
    pub member_count: i64,
    /// How many of those there may be; 0 means any number.
    pub seat_limit: i64,
}

/// An organization's name: 3 to 256 characters in composed form (NFC), without control
/// characters and those that make a name show as another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationName(String);

/// Who may make organizations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Creators {
    /// Every account.
    Everyone,
    /// Accounts with a verified mail address, and [`Creators::Operators`].
    Verified,
    /// Keys of scope `operator`, and services with a key of scope `act`, for themselves
    /// and on behalf of their people.
    Operators,
}

/// What an organization has subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Unless set otherwise.
    Free,
    /// `ORGANIZATION_TIER_ENTERPRISE`.
    Enterprise,
    /// `ORGANIZATION_TIER_CORE`.
    Core,
    /// `ORGANIZATION_TIER_FREE_ONA`.
    FreeOna,
}

impl Organization {
    /// Whether one more member has a seat.
    pub fn has_seat(&self) -> bool {
        self.seat_limit == 0 || self.member_count < self.seat_limit
    }
}

impl OrganizationName {
    /// The name, composed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OrganizationName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const TOO_LONG: Invalid = Invalid("must have at most 256 characters");

        // The bound comes first, so that nothing long is composed.
        if text.len() > 4 * 4 * 256 {
            return Err(TOO_LONG);
        }
        if text.chars().any(is_unfit_for_names) {
            return Err(Invalid(
                "must not contain control characters, line ends, or invisible characters that \
                 change how a name shows, such as bidirectional overrides",
            ));
        }
        let name: String = text.nfc().collect();
        let shown = name.trim_matches(is_blank).chars().filter(|c| !is_zero_width(*c));
        if shown.count() < 3 {
            return Err(Invalid("must have at least 3 characters"));
        }
        if name.chars().count() > 256 {
            return Err(TOO_LONG);
        }
        Ok(Self(name))
    }
}

impl fmt::Display for OrganizationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Tier {
    const ALL: [Tier; 4] = [Tier::Free, Tier::Enterprise, Tier::Core, Tier::FreeOna];

    /// Its name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tier::Free => "free",
            Tier::Enterprise => "enterprise",
            Tier::Core => "core",
            Tier::FreeOna => "free_ona",
        }
    }
}

impl FromStr for Tier {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Tier::ALL
            .into_iter()
            .find(|tier| tier.as_str() == text)
            .ok_or(Invalid("must be free, enterprise, core or free_ona"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_3_to_256_characters_and_no_control_characters() {
        let longest = "é".repeat(256);
        for name in ["abc", "Acme & Söhne", "日本語", longest.as_str()] {
            assert_eq!(name.parse::<OrganizationName>().unwrap().as_str(), name);
        }
        let too_long = "é".repeat(257);
        for name in ["", "ab", "   ", " a ", "a\nbc", "abc\0", too_long.as_str()] {
            assert!(name.parse::<OrganizationName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn names_of_tiers_come_back() {
        for tier in Tier::ALL {
            assert_eq!(tier.as_str().parse(), Ok(tier));
        }
        assert!("".parse::<Tier>().is_err());
    }

    #[test]
    fn p48_a_name_is_as_long_as_its_composed_form() {
        // Three letters of three bytes each become one.
        let composed = |number: usize| "\u{1100}\u{1161}\u{11a8}".repeat(number);
        let longest: OrganizationName = composed(256).parse().unwrap();
        assert_eq!(longest.as_str(), "각".repeat(256));
        assert!(composed(257).parse::<OrganizationName>().is_err());
    }

    #[test]
    fn p48_names_that_show_as_others_are_refused_and_all_are_composed() {
        for c in "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{200b}\
                  \u{2060}\u{feff}\u{ad}\u{2028}\u{2029}\0\u{7f}\u{85}"
            .chars()
        {
            assert!(format!("Ac{c}me").parse::<OrganizationName>().is_err(), "{c:?}");
        }
        assert!("\u{200d}\u{200d}\u{200d}".parse::<OrganizationName>().is_err(), "shows nothing");
        for name in ["کتاب\u{200c}خانه", "👩\u{200d}🚀 Club", "\u{200f}אקמה ABC\u{200e}", "A B"]
        {
            assert_eq!(name.parse::<OrganizationName>().unwrap().as_str(), name);
        }
        let composed = "Cafe\u{301}".parse::<OrganizationName>().unwrap();
        assert_eq!(composed, "Café".parse().unwrap());
    }
}
