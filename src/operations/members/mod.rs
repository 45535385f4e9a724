//! Coming, going and who is there.

mod admit;
mod join_organization;
mod leave_organization;
mod list_members;
mod set_role;

pub use crate::storage::member_lists::{MemberFilter, MemberSort};
pub use join_organization::{JoinBy, join_organization};
pub use leave_organization::leave_organization;
pub use list_members::{ListMembers, MemberList, list_members};
pub use set_role::{ContractRole, SetRole, set_role};

pub(super) use admit::admit;
