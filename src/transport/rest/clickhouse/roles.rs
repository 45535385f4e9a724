//! The roles of ClickHouse's contract and their ids.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::NAMESPACE;
use crate::domain;

/// The two roles this contract knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = clickhouse::RoleName)]
pub enum Role {
    /// An ordinary member.
    Developer,
    /// Manages people, invitations and the organization.
    Admin,
}

/// The origin of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = clickhouse::RoleType)]
pub enum RoleType {
    /// Predefined.
    System,
}

/// A role that an invitation grants.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = clickhouse::AssignedRole)]
pub struct AssignedRole {
    #[schema(value_type = String, format = "uuid")]
    role_id: Uuid,
    role_name: Role,
    role_type: RoleType,
}

/// A role that can be assigned.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = clickhouse::Role)]
pub struct ListedRole {
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    name: Role,
    #[serde(rename = "type")]
    kind: RoleType,
}

impl Role {
    pub const ALL: [Role; 2] = [Role::Admin, Role::Developer];

    const fn name(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Developer => "developer",
        }
    }

    /// The id of the role, derived from its name, so that it never changes.
    pub fn id(self) -> Uuid {
        Uuid::new_v5(&NAMESPACE, self.name().as_bytes())
    }

    /// The role as part of an invitation.
    pub fn assigned(self) -> AssignedRole {
        AssignedRole { role_id: self.id(), role_name: self, role_type: RoleType::System }
    }

    /// The role as an entry of the list of roles.
    pub fn listed(self) -> ListedRole {
        ListedRole { id: self.id(), name: self, kind: RoleType::System }
    }
}

impl From<domain::Role> for Role {
    fn from(role: domain::Role) -> Self {
        match role {
            domain::Role::Admin => Role::Admin,
            _ => Role::Developer,
        }
    }
}

impl From<Role> for domain::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => domain::Role::Admin,
            Role::Developer => domain::Role::Developer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_ids_stay_the_same() {
        assert_eq!(Role::Admin.id().get_version_num(), 5);
        // Clients store these ids: changing them would break the contract.
        let ids = Role::ALL.map(|role| role.id().to_string());
        assert_eq!(
            ids,
            ["d2139ce7-8f2b-56fe-aca8-333daab1d2ec", "a6585f03-cb46-5003-9b78-ada98ba79de8"]
        );
    }

    #[test]
    fn roles_convert_both_ways() {
        for role in domain::Role::ALL {
            let expected = if role == domain::Role::Admin { Role::Admin } else { Role::Developer };
            assert_eq!(Role::from(role), expected);
        }
        assert_eq!(domain::Role::from(Role::Developer), domain::Role::Developer);
        assert_eq!(domain::Role::from(Role::Admin), domain::Role::Admin);
    }
}
