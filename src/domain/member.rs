//! Memberships.

use std::str::FromStr;

use super::Invalid;

/// Whether a member may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberStatus {
    /// May, as far as the role goes.
    Active,
    /// Takes a seat, has no right.
    Suspended,
    /// Gone; the row stays so that the audit and the members' list can tell.
    Left,
}

/// How a membership came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinedBy {
    /// Made the organization and joined in the same step, or by id afterwards.
    Creation,
    /// With an invite.
    Invite,
    /// By mail domain.
    Domain,
}

impl MemberStatus {
    /// Every status.
    pub const ALL: [MemberStatus; 3] =
        [MemberStatus::Active, MemberStatus::Suspended, MemberStatus::Left];

    /// Its name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            MemberStatus::Active => "active",
            MemberStatus::Suspended => "suspended",
            MemberStatus::Left => "left",
        }
    }
}

impl FromStr for MemberStatus {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        MemberStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(Invalid("must be active, suspended or left"))
    }
}

impl JoinedBy {
    /// Its name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            JoinedBy::Creation => "creation",
            JoinedBy::Invite => "invite",
            JoinedBy::Domain => "domain",
        }
    }
}
