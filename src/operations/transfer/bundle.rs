//! The rows of one organization that an import writes.

use super::lines::Place;
use crate::domain::{AccountId, OrganizationId};

/// An organization with the rows to write.
pub(super) struct Bundle {
    pub id: OrganizationId,
    /// The organization's own line; `None` if the organization is in the store already.
    pub own: Option<Place>,
    /// Members are written before invitations.
    pub members: Vec<Place>,
    pub invitations: Vec<Place>,
    /// The first of `admins`.
    pub first_admin: Option<AccountId>,
    pub has_creator: bool,
    pub line: u32,
    /// The number of members in the store; `count` adds those of the file.
    pub stored: i64,
    pub count: i64,
    pub adds_members: bool,
    pub seat_limit: i64,
    /// The active admins of the file whose memberships have no end.
    pub admins: Vec<AccountId>,
}

impl Bundle {
    pub fn new(id: OrganizationId, own: Option<Place>) -> Self {
        Self {
            id,
            own,
            members: Vec::new(),
            invitations: Vec::new(),
            first_admin: None,
            has_creator: false,
            line: own.map_or(0, |own| own.line),
            stored: 0,
            count: 0,
            adds_members: false,
            seat_limit: 0,
            admins: Vec::new(),
        }
    }

    /// Whether the organization has no active admin whose membership has no end. An organization in
    /// the store that has members has such an admin.
    pub fn lacks_admin(&self) -> bool {
        self.admins.is_empty() && self.stored == 0
    }
}
