//! What a member may do: one table of role × permission.

use std::fmt;
use std::str::FromStr;

use super::Invalid;

/// A member's role, and what an invite grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Manages people, invites and the organization.
    Admin,
    /// Creates content.
    Create,
    /// Edits content.
    Edit,
    /// An ordinary member.
    Member,
    /// An ordinary member by another product's name.
    Developer,
    /// Reviews content.
    Review,
    /// Comments on content.
    Comment,
    /// Reads content.
    Read,
    /// Sees the organization and may leave it; nothing else.
    Guest,
}

/// A right that an operation asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See the organization itself.
    ViewOrganization,
    /// End one's own membership.
    Leave,
    /// See who else is a member.
    ListMembers,
    /// Change or delete the organization.
    ManageOrganization,
    /// Set roles, remove members.
    ManageMembers,
    /// Make, see and end invites.
    ManageInvites,
    /// Read the audit trail.
    ReadAudit,
}

impl Role {
    /// Every role, highest first.
    pub const ALL: [Role; 9] = [
        Role::Admin,
        Role::Create,
        Role::Edit,
        Role::Member,
        Role::Developer,
        Role::Review,
        Role::Comment,
        Role::Read,
        Role::Guest,
    ];

    /// Whether the role has the permission. This is the whole table.
    pub const fn allows(self, permission: Permission) -> bool {
        match permission {
            Permission::ViewOrganization | Permission::Leave => true,
            Permission::ListMembers => !matches!(self, Role::Guest),
            Permission::ManageOrganization
            | Permission::ManageMembers
            | Permission::ManageInvites
            | Permission::ReadAudit => matches!(self, Role::Admin),
        }
    }

    /// Whether whoever has this role may grant `other`: nobody grants above
    /// their own.
    pub const fn may_grant(self, other: Role) -> bool {
        self.rank() >= other.rank()
    }

    /// `edit`, `member` and `developer` stand side by side.
    const fn rank(self) -> u8 {
        match self {
            Role::Admin => 6,
            Role::Create => 5,
            Role::Edit | Role::Member | Role::Developer => 4,
            Role::Review => 3,
            Role::Comment => 2,
            Role::Read => 1,
            Role::Guest => 0,
        }
    }

    /// The role's name in the store and in our own API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Create => "create",
            Role::Edit => "edit",
            Role::Member => "member",
            Role::Developer => "developer",
            Role::Review => "review",
            Role::Comment => "comment",
            Role::Read => "read",
            Role::Guest => "guest",
        }
    }
}

impl FromStr for Role {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Role::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(Invalid("must be the name of a role"))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p17_nobody_grants_above_their_own_role() {
        let side_by_side = [Role::Edit, Role::Member, Role::Developer];
        for (i, higher) in Role::ALL.into_iter().enumerate() {
            assert!(higher.may_grant(higher));
            for lower in &Role::ALL[i..] {
                assert!(higher.may_grant(*lower), "{higher} grants {lower}");
                let equal = *lower == higher
                    || [higher, *lower].iter().all(|role| side_by_side.contains(role));
                assert_eq!(lower.may_grant(higher), equal, "{lower} grants {higher}");
            }
        }
    }

    #[test]
    fn only_admins_manage_and_guests_see_nobody() {
        use Permission::*;
        for role in Role::ALL {
            for manage in [ManageOrganization, ManageMembers, ManageInvites, ReadAudit] {
                assert_eq!(role.allows(manage), role == Role::Admin);
            }
            assert_eq!(role.allows(ListMembers), role != Role::Guest);
            assert!(role.allows(ViewOrganization) && role.allows(Leave));
        }
    }

    #[test]
    fn names_come_back() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
    }
}
