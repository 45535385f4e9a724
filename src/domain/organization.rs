//! Organizations.

use std::fmt;
use std::str::FromStr;

use super::text::{composed, is_blank, is_unfit_for_names, is_zero_width};
use super::{AccountId, Attributes, EmailDomain, Invalid, OrganizationId, Timestamp, text_enum};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    pub id: OrganizationId,
    pub name: OrganizationName,
    /// An account with a verified address in one of these domains may join by
    /// organization id, without an invite.
    pub invite_domains: Vec<EmailDomain>,
    pub tier: Tier,
    /// The account that created the organization. It may join by organization id while
    /// the organization has no admin.
    pub creator: AccountId,
    pub created_at: Timestamp,
    /// The time of the last change of name, domains, tier or seat limit.
    pub updated_at: Timestamp,
    /// Increases with every change inside the organization. It shows whether an invite was made
    /// before or after the removal of a member.
    pub version: i64,
    /// Active and suspended members.
    pub member_count: i64,
    /// The maximum of `member_count`; 0 means no limit.
    pub seat_limit: i64,
    /// The earliest end of a membership that is stored as current; `None` if no such membership has
    /// an end. It shows without a query whether a membership has reached its end and is still
    /// stored as current.
    pub next_member_end: Option<Timestamp>,
    pub attributes: Attributes,
}

/// An organization's name: 3 to 256 characters in composed form (NFC), without the
/// characters for which [`is_unfit_for_names`] holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationName(String);

/// Accounts that may create organizations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Creators {
    /// Every account.
    Everyone,
    /// Accounts with a verified mail address, and [`Creators::Operators`].
    Verified,
    /// Keys of scope `operator`, and services with a key of scope `act`, for themselves
    /// and for the people that they act for.
    Operators,
}

/// `OrganizationTier` of `gitpod.v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// The default.
    Free,
    Enterprise,
    Core,
    FreeOna,
}

impl Organization {
    /// Whether a membership has reached its end at `now` and is still stored as current.
    pub fn has_due_members(&self, now: Timestamp) -> bool {
        self.next_member_end.is_some_and(|end| end <= now)
    }

    /// Includes the end of a current membership in `next_member_end`; `None`: it has no end.
    pub fn add_member_end(&mut self, end: Option<Timestamp>) {
        let ends = self.next_member_end.into_iter().chain(end);
        self.next_member_end = ends.min();
    }

    /// Whether one more member may join.
    pub fn has_seat(&self) -> bool {
        self.seat_limit == 0 || self.member_count < self.seat_limit
    }
}

impl OrganizationName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OrganizationName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const TOO_LONG: Invalid = Invalid("must have at most 256 characters");

        // Checked first, so that a long text is not composed.
        if text.len() > 4 * 4 * 256 {
            return Err(TOO_LONG);
        }
        if text.chars().any(is_unfit_for_names) {
            return Err(Invalid(
                "must not contain control characters, line ends, or invisible characters that \
                 change how a name shows, such as bidirectional overrides",
            ));
        }
        let name = composed(text);
        let shown = name.trim_matches(is_blank).chars().filter(|c| !is_zero_width(*c));
        if shown.count() < 3 {
            return Err(Invalid("must have at least 3 characters"));
        }
        if name.chars().count() > 256 {
            return Err(TOO_LONG);
        }
        Ok(Self(name.into_owned()))
    }
}

impl fmt::Display for OrganizationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_enum! {
    Tier, "must be free, enterprise, core or free_ona":
        Free = "free", Enterprise = "enterprise", Core = "core", FreeOna = "free_ona";
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
    fn tier_names_parse_back_to_their_values() {
        for tier in Tier::ALL {
            assert_eq!(tier.as_str().parse(), Ok(tier));
        }
        assert!("".parse::<Tier>().is_err());
    }

    #[test]
    fn p48_the_length_limit_applies_to_the_composed_name() {
        // Three letters of three bytes each become one.
        let composed = |number: usize| "\u{1100}\u{1161}\u{11a8}".repeat(number);
        let longest: OrganizationName = composed(256).parse().unwrap();
        assert_eq!(longest.as_str(), "각".repeat(256));
        assert!(composed(257).parse::<OrganizationName>().is_err());
    }

    #[test]
    fn p48_invisible_characters_are_rejected_and_names_are_composed() {
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
