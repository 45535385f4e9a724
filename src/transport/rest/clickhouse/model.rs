//! The JSON of ClickHouse's contract.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::NAMESPACE;
use super::roles::{AssignedRole, Role};
use crate::domain::{self, EmailAddress, Invalid, Invite, RequestId, Timestamp};
use crate::error::{Error, Result};
use crate::operations::events::to_timestamp;

/// The maximum number of role ids in a request.
const MAX_ROLES: usize = 25;

/// A response with a result.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = clickhouse::Answer)]
pub struct Envelope<T: ToSchema> {
    /// The HTTP status.
    status: u16,
    /// The id of the request.
    #[schema(value_type = String, format = "uuid")]
    request_id: Uuid,
    result: T,
}

/// A response without a result.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = clickhouse::Done)]
pub struct Done {
    /// The HTTP status.
    status: u16,
    /// The id of the request.
    #[schema(value_type = String, format = "uuid")]
    request_id: Uuid,
}

/// A response with one invitation. The contract's clients read `result`, and its documentation has
/// the fields beside it, so they are in both places.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = clickhouse::InvitationAnswer)]
pub struct InvitationEnvelope {
    /// The HTTP status.
    status: u16,
    /// The id of the request.
    #[schema(value_type = String, format = "uuid")]
    request_id: Uuid,
    /// The invitation.
    result: Invitation,
    role: Role,
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    #[schema(format = "email")]
    email: String,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    expires_at: String,
}

/// An email invitation.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = clickhouse::Invitation)]
pub struct Invitation {
    /// Manages the invitation; the invited person can also join with it.
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    /// The address of the invited person.
    #[schema(format = "email")]
    email: String,
    /// The role that it grants.
    role: Role,
    /// The role as a list.
    assigned_roles: Vec<AssignedRole>,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    expires_at: String,
    /// The same as `expiresAt`.
    #[schema(format = "date-time")]
    expire_at: String,
}

/// An organization.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = clickhouse::Organization)]
pub struct Organization {
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    name: String,
    #[schema(format = "date-time")]
    created_at: String,
}

/// The person to invite.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = clickhouse::NewInvitation)]
pub struct NewInvitation {
    #[schema(format = "email")]
    pub email: String,
    /// The role to grant; developer if neither this nor a role id is given.
    role: Option<Role>,
    /// The ids of roles to grant. The highest of all given roles counts.
    #[schema(max_items = 25)]
    assigned_role_ids: Option<Vec<String>>,
}

impl<T: ToSchema> Envelope<T> {
    pub fn new(request: &RequestId, result: T) -> Self {
        Self { status: 200, request_id: request_uuid(request), result }
    }
}

impl Done {
    pub fn new(request: &RequestId) -> Self {
        Self { status: 200, request_id: request_uuid(request) }
    }
}

impl InvitationEnvelope {
    pub fn new(request: &RequestId, result: Invitation) -> Self {
        let Invitation { id, email, role, created_at, expires_at, .. } = result.clone();
        let request_id = request_uuid(request);
        Self { status: 200, request_id, result, role, id, email, created_at, expires_at }
    }
}

impl NewInvitation {
    /// The role to grant.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if the address is invalid, a role id is unknown, or there are too many role
    /// ids.
    pub fn role(&self) -> Result<Role> {
        let wrong = |wrong: Invalid| Error::invalid("email", wrong.0);
        self.email.parse::<EmailAddress>().map_err(wrong)?;
        if self.assigned_role_ids.as_ref().is_some_and(|ids| ids.len() > MAX_ROLES) {
            let what = format!("must have at most {MAX_ROLES} entries");
            return Err(Error::invalid("assignedRoleIds", what));
        }
        let mut roles: Vec<Role> = self.role.into_iter().collect();
        for (i, text) in self.assigned_role_ids.iter().flatten().enumerate() {
            let id = Uuid::try_parse(text).ok();
            let known = Role::ALL.into_iter().find(|role| id == Some(role.id()));
            roles.push(known.ok_or_else(|| {
                Error::invalid(format!("assignedRoleIds[{i}]"), "must be the id of a role")
            })?);
        }
        Ok(roles.into_iter().max().unwrap_or(Role::Developer))
    }
}

impl TryFrom<Invite> for Invitation {
    type Error = Error;

    /// # Errors
    /// NOT_FOUND if the invite is not an email invitation, which has an address and an expiry.
    fn try_from(invite: Invite) -> Result<Self> {
        let (Some(email), Some(end)) = (invite.email, invite.expires_at) else {
            return Err(Error::not_found());
        };
        let role = Role::from(invite.role);
        Ok(Self {
            id: invite.id.into(),
            email: email.to_string(),
            role,
            assigned_roles: vec![role.assigned()],
            created_at: rfc3339(invite.created_at),
            expires_at: rfc3339(end),
            expire_at: rfc3339(end),
        })
    }
}

impl From<domain::Organization> for Organization {
    fn from(from: domain::Organization) -> Self {
        Self {
            id: from.id.into(),
            name: from.name.to_string(),
            created_at: rfc3339(from.created_at),
        }
    }
}

/// The request id as a UUID, which this contract requires. An id that is not a UUID is converted to
/// one; the same id always gives the same UUID.
pub fn request_uuid(request: &RequestId) -> Uuid {
    Uuid::try_parse(&request.0).unwrap_or_else(|_| Uuid::new_v5(&NAMESPACE, request.0.as_bytes()))
}

fn rfc3339(at: Timestamp) -> String {
    to_timestamp(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_requested_role_is_used() {
        let requested_role =
            |json: &str| serde_json::from_str::<NewInvitation>(json).unwrap().role();
        let (admin, developer) = (Role::Admin.id(), Role::Developer.id());
        for (more, expected) in [
            (String::new(), Role::Developer),
            (r#", "role": null, "assignedRoleIds": null"#.to_owned(), Role::Developer),
            (r#", "assignedRoleIds": []"#.to_owned(), Role::Developer),
            (r#", "role": "admin""#.to_owned(), Role::Admin),
            (r#", "role": "admin", "assignedRoleIds": []"#.to_owned(), Role::Admin),
            (format!(r#", "assignedRoleIds": ["{admin}"]"#), Role::Admin),
            (format!(r#", "assignedRoleIds": ["{developer}", "{admin}"]"#), Role::Admin),
            (format!(r#", "role": "developer", "assignedRoleIds": ["{admin}"]"#), Role::Admin),
        ] {
            let json = format!(r#"{{"email": "a@b.example"{more}}}"#);
            assert_eq!(requested_role(&json).unwrap(), expected, "{json}");
        }
        let ids = |number: usize| serde_json::to_string(&vec![admin; number]).unwrap();
        let of =
            |number| format!(r#"{{"email": "a@b.example", "assignedRoleIds": {}}}"#, ids(number));
        assert_eq!(requested_role(&of(MAX_ROLES)).unwrap(), Role::Admin);
        let many = requested_role(&of(MAX_ROLES + 1)).unwrap_err();
        assert_eq!(many.message, "assignedRoleIds: must have at most 25 entries");
        let unknown = requested_role(r#"{"email": "a@b.example", "assignedRoleIds": ["s3cret"]}"#);
        assert_eq!(unknown.unwrap_err().message, "assignedRoleIds[0]: must be the id of a role");
    }

    #[test]
    fn times_are_in_utc() {
        assert_eq!(rfc3339(Timestamp::from_micros(0)), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(Timestamp::from_micros(i64::MAX)), "9999-12-31T23:59:59.999999Z");
        assert_eq!(rfc3339(Timestamp::from_micros(i64::MIN)), "0001-01-01T00:00:00Z");
        let at = Timestamp::from_micros(1_800_000_000_123_456);
        assert_eq!(rfc3339(at), "2027-01-15T08:00:00.123456Z");
    }

    #[test]
    fn a_request_id_becomes_a_uuid() {
        let id = Uuid::now_v7();
        assert_eq!(request_uuid(&RequestId(id.to_string().into())), id);
        let named = request_uuid(&RequestId("mine".into()));
        assert_eq!((named.get_version_num(), named), (5, request_uuid(&RequestId("mine".into()))));
    }
}
