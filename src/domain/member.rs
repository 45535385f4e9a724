//! Memberships.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{
    AccountId, Attributes, InviteId, MemberId, OrganizationId, Permission, Profile, Role,
    Timestamp, text_enum,
};

/// An account's membership in one organization. When the member leaves, the membership stays with
/// status `Left`; joining again creates a new membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub id: MemberId,
    pub organization: OrganizationId,
    pub account: AccountId,
    pub role: Role,
    pub status: MemberStatus,
    pub joined_at: Timestamp,
    pub joined_by: JoinedBy,
    /// The invite that the member joined with; `None` unless `joined_by` is `Invite`.
    pub invite: Option<InviteId>,
    pub attributes: Attributes,
    /// The membership ends at this moment, whether or not that is stored. `None`: it has no end.
    pub expires_at: Option<Timestamp>,
    /// `None` while the membership lasts.
    pub departure: Option<Departure>,
}

/// The part of a membership that decides about the member's rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority {
    /// Id of the membership.
    pub id: MemberId,
    pub role: Role,
    pub status: MemberStatus,
    /// It is valid only before this moment.
    pub expires_at: Option<Timestamp>,
}

/// The shortest and the longest lifetime that an invite may give.
pub const MEMBER_LIFETIME: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3_650 * 24 * 60 * 60);

/// When the membership of a member that joins with an invite ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberEnd {
    /// This long after the join.
    After(Duration),
    At(Timestamp),
}

impl MemberEnd {
    /// The end of a membership that begins at `joined`.
    pub fn of(self, joined: Timestamp) -> Timestamp {
        match self {
            MemberEnd::After(lifetime) => joined.plus(lifetime),
            MemberEnd::At(end) => end,
        }
    }
}

impl Member {
    pub fn authority(&self) -> Authority {
        Authority { id: self.id, role: self.role, status: self.status, expires_at: self.expires_at }
    }

    /// Whether the membership has not ended at `now`.
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.status != MemberStatus::Left && !is_over(self.expires_at, now)
    }

    /// An active admin whose membership has no end. An organization with members keeps at least
    /// one.
    pub fn is_lasting_admin(&self) -> bool {
        self.role == Role::Admin && self.status == MemberStatus::Active && self.expires_at.is_none()
    }

    /// The member as it is at `now`: shown as left from the moment of its end, even if that is
    /// not stored yet.
    #[must_use]
    pub fn as_of(mut self, now: Timestamp) -> Self {
        if let Some(end) = self.expires_at
            && self.status != MemberStatus::Left
            && end <= now
        {
            self.status = MemberStatus::Left;
        }
        self
    }
}

impl Authority {
    /// Whether the membership has not ended at `now`.
    pub fn is_current(&self, now: Timestamp) -> bool {
        !is_over(self.expires_at, now)
    }
}

/// Whether `now` has reached this end.
fn is_over(end: Option<Timestamp>, now: Timestamp) -> bool {
    end.is_some_and(|end| end <= now)
}

/// The part of a membership that other services query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub organization: OrganizationId,
    pub id: MemberId,
    pub account: AccountId,
    pub role: Role,
    pub status: MemberStatus,
    /// When this membership began.
    pub since: Timestamp,
    /// It is valid only before this moment.
    pub expires_at: Option<Timestamp>,
    pub attributes: Attributes,
}

impl Membership {
    /// Whether the member has this right now.
    pub fn allows(&self, permission: Permission) -> bool {
        self.status == MemberStatus::Active && self.role.allows(permission)
    }

    /// Whether it has not ended at `now`.
    pub fn is_current(&self, now: Timestamp) -> bool {
        !is_over(self.expires_at, now)
    }
}

impl From<&Member> for Membership {
    fn from(member: &Member) -> Self {
        Self {
            organization: member.organization,
            id: member.id,
            account: member.account,
            role: member.role,
            status: member.status,
            since: member.joined_at,
            expires_at: member.expires_at,
            attributes: member.attributes.clone(),
        }
    }
}

/// The end of a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    pub at: Timestamp,
    /// `true`: an admin removed the member; `false`: the member left, or the membership reached its
    /// end.
    pub removed: bool,
    /// The organization's version at that moment.
    pub version: i64,
}

/// A membership with the profile of its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberProfile {
    pub member: Member,
    pub profile: Profile,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberStatus {
    /// Has the rights of the role.
    Active,
    /// Has no rights, but counts against the seat limit.
    Suspended,
    /// No longer a member. The row is kept for lists of members and the audit trail.
    Left,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinedBy {
    /// The account created the organization, and joined then, or later by organization id.
    Creation,
    Invite,
    /// By mail domain.
    Domain,
    /// An admin added the member, without an invite.
    Admin,
}

text_enum! {
    MemberStatus, "must be active, suspended or left":
        Active = "active", Suspended = "suspended", Left = "left";
    JoinedBy, "must be creation, invite, domain or admin":
        Creation = "creation", Invite = "invite", Domain = "domain", Admin = "admin";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_to_their_values() {
        for status in MemberStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        for by in JoinedBy::ALL {
            assert_eq!(by.as_str().parse(), Ok(by));
        }
        assert!("".parse::<MemberStatus>().is_err() && "".parse::<JoinedBy>().is_err());
    }
}
