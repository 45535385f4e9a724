//! Messages to inputs of operations, and answers to messages. The contract's
//! validation rules are applied here; every wrong field is named.

mod account;
mod audit;
mod fields;
mod list_members;
mod organization;

pub use account::resolve_account;
pub use audit::list_audit_events;
pub use list_members::list_members;
pub use organization::{
    create_organization, invite_token, join_organization, member_id, organization_id, set_role,
    update_organization,
};

use fields::Fields;

use crate::domain::{PageSize, Timestamp};
use crate::error::Result;
use crate::proto::guestlist::v1::PageRequest;

/// A page of one of our own lists.
pub fn page(page: Option<PageRequest>) -> Result<(PageSize, String)> {
    let mut fields = Fields::default();
    let page = fields.page(page);
    fields.finish(|| page)
}

fn to_timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_seconds(), nanos: at.subsec_nanos() }
}

#[cfg(test)]
mod tests;
