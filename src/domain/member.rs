//! Memberships.

use std::str::FromStr;

use super::{AccountId, Invalid, InviteId, MemberId, OrganizationId, Profile, Role, Timestamp};

/// An account's membership of one organization. Leaving keeps it as `Left`;
/// coming back makes a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The membership's own id.
    pub id: MemberId,
    /// Of which organization.
    pub organization: OrganizationId,
    /// Whose.
    pub account: AccountId,
    /// What the member may do.
    pub role: Role,
    /// Whether the member may act.
    pub status: MemberStatus,
    /// When it began.
    pub joined_at: Timestamp,
    /// How it came about.
    pub joined_by: JoinedBy,
    /// The invite it came about with.
    pub invite: Option<InviteId>,
    /// How it ended, once it has.
    pub departure: Option<Departure>,
}

/// What a membership allows: as much of it as decides what its member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority {
    /// The membership's own id.
    pub id: MemberId,
    /// What the member may do.
    pub role: Role,
    /// Whether the member may act.
    pub status: MemberStatus,
}

impl Member {
    /// What it allows.
    pub fn authority(&self) -> Authority {
        Authority { id: self.id, role: self.role, status: self.status }
    }
}

/// How a membership ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    /// When.
    pub at: Timestamp,
    /// Whether an admin removed the member.
    pub removed: bool,
    /// The organization's version at that moment.
    pub version: i64,
}

/// A membership with what others see of the account behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberProfile {
    /// The membership.
    pub member: Member,
    /// The account's profile.
    pub profile: Profile,
}

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

impl FromStr for JoinedBy {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        [JoinedBy::Creation, JoinedBy::Invite, JoinedBy::Domain]
            .into_iter()
            .find(|by| by.as_str() == text)
            .ok_or(Invalid("must be creation, invite or domain"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for status in MemberStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        for by in [JoinedBy::Creation, JoinedBy::Invite, JoinedBy::Domain] {
            assert_eq!(by.as_str().parse(), Ok(by));
        }
        assert!("".parse::<MemberStatus>().is_err() && "".parse::<JoinedBy>().is_err());
    }
}
