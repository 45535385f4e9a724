//! Memberships: joining, leaving, listing, roles and suspension.

mod accept;
mod add_member;
mod admit;
mod batch;
mod batch_get_memberships;
mod batch_remove_members;
mod batch_set_member_role;
mod batch_suspend_members;
mod change_member;
mod get_membership;
mod join_organization;
mod leave_organization;
mod list_members;
mod list_memberships;
mod restore_member;
mod set_member_role;
mod set_role;
mod suspend_member;
mod transfer_ownership;
mod update_member_metadata;

pub use crate::storage::member_lists::{MemberFilter, MemberSort};
pub use crate::storage::memberships::{MAX_KEYS, MembershipKey};
pub use accept::{Accepted, accept};
pub use add_member::{AddMember, add_member};
pub use batch::MemberOutcome;
pub use batch_get_memberships::batch_get_memberships;
pub use batch_remove_members::batch_remove_members;
pub use batch_set_member_role::batch_set_member_role;
pub use batch_suspend_members::batch_suspend_members;
pub use change_member::MemberOf;
pub use get_membership::{Whose, get_membership};
pub(super) use join_organization::{Entered, Entry, enter};
pub use join_organization::{JoinBy, join_organization};
pub use leave_organization::{Leave, leave_organization};
pub use list_members::{ListMembers, MemberList, list_members};
pub use list_memberships::{ListMemberships, MembershipList, list_memberships};
pub use restore_member::restore_member;
pub use set_member_role::set_member_role;
pub use set_role::{ContractRole, SetRole, set_role};
pub use suspend_member::suspend_member;
pub use transfer_ownership::transfer_ownership;
pub use update_member_metadata::update_member_metadata;

pub(super) use admit::{Admission, admit, pending_invitation, require_seat};
pub(super) use leave_organization::{depart, leaves_no_admin};
