//! The roles of GitBook's contract.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::Role;

/// The roles of this contract. `null` stands for a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = gitbook::MemberRole)]
pub enum MemberRole {
    /// Manages people, invites and the organization.
    Admin,
    /// Creates content.
    Create,
    /// Edits content.
    Edit,
    /// Reviews content.
    Review,
    /// Comments on content.
    Comment,
    /// Reads content.
    Read,
}

/// Converts a role to a role of this contract; `None` for a guest.
pub fn to_member_role(role: Role) -> Option<MemberRole> {
    match role {
        Role::Admin => Some(MemberRole::Admin),
        Role::Create => Some(MemberRole::Create),
        Role::Edit | Role::Member | Role::Developer => Some(MemberRole::Edit),
        Role::Review => Some(MemberRole::Review),
        Role::Comment => Some(MemberRole::Comment),
        Role::Read => Some(MemberRole::Read),
        Role::Guest => None,
    }
}

/// Converts a role of this contract to the service's role; `None` is a guest.
pub fn from_member_role(role: Option<MemberRole>) -> Role {
    match role {
        Some(MemberRole::Admin) => Role::Admin,
        Some(MemberRole::Create) => Role::Create,
        Some(MemberRole::Edit) => Role::Edit,
        Some(MemberRole::Review) => Role::Review,
        Some(MemberRole::Comment) => Role::Comment,
        Some(MemberRole::Read) => Role::Read,
        None => Role::Guest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_convert_both_ways() {
        for role in Role::ALL {
            let converted = from_member_role(to_member_role(role));
            let expected = match role {
                Role::Member | Role::Developer => Role::Edit,
                other => other,
            };
            assert_eq!(converted, expected);
        }
        assert_eq!(serde_json::to_string(&to_member_role(Role::Guest)).unwrap(), "null");
        assert_eq!(serde_json::to_string(&to_member_role(Role::Member)).unwrap(), "\"edit\"");
    }
}
