//! The roles of members and their permissions.

use std::fmt;

use super::text_enum;

/// A member's role. An invite grants one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Manages members, invites and the organization.
    Admin,
    /// Creates content.
    Create,
    /// Edits content.
    Edit,
    /// An ordinary member.
    Member,
    /// The name of an ordinary member in ClickHouse's contract.
    Developer,
    /// Reviews content.
    Review,
    /// Comments on content.
    Comment,
    /// Reads content.
    Read,
    /// May see the organization and leave it; nothing else.
    Guest,
}

/// A right that an operation requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    ViewOrganization,
    Leave,
    ListMembers,
    /// Update or delete the organization.
    ManageOrganization,
    /// Set roles; add, suspend, restore and remove members.
    ManageMembers,
    /// Create, read, update and revoke invites.
    ManageInvites,
    ReadAudit,
}

impl Permission {
    pub const ALL: [Self; 7] = [
        Self::ViewOrganization,
        Self::Leave,
        Self::ListMembers,
        Self::ManageOrganization,
        Self::ManageMembers,
        Self::ManageInvites,
        Self::ReadAudit,
    ];
}

impl Role {
    /// The complete table of roles and permissions.
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

    /// Whether a member of this role may grant `other`: a member never grants more than
    /// its own role.
    pub const fn may_grant(self, other: Role) -> bool {
        self.rank() >= other.rank()
    }

    /// `edit`, `member` and `developer` have the same rank.
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
}

// Highest first: `ALL` is shown in this order.
text_enum! {
    Role, "must be the name of a role":
        Admin = "admin", Create = "create", Edit = "edit", Member = "member",
        Developer = "developer", Review = "review", Comment = "comment", Read = "read",
        Guest = "guest";
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
    fn p17_a_role_cannot_grant_a_higher_role() {
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
    fn only_admins_manage_and_guests_cannot_list_members() {
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
    fn names_parse_back_to_their_values() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
    }
}
