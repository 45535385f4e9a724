//! Converts messages to the inputs of operations, and the results of operations to messages.
//! Applies the validation rules of the contract; an error names every wrong field.

mod account;
mod admin;
mod attributes;
mod audit;
mod batch;
mod domain;
mod event;
mod fields;
mod invite;
mod invite_changes;
mod join_request;
mod list_invites;
mod list_members;
mod member;
mod member_end;
mod membership;
mod my_organization;
mod organization;
mod sign_in;
mod webhook;

pub use account::resolve_account;
pub use admin::{list_organizations, set_seat_limit, set_tier};
pub use audit::list_audit_events;
pub use batch::{batch_set_member_role, member_results, members_of, transfer_ownership};
pub use domain::{add_domain, domain, domain_ref, set_domain_mode};
pub use event::{event_list, list_events, list_state, state_list, watch, watch_response};
pub use invite::{create_link, invite_by_email};
pub use invite_changes::{accept, decline, invite_of, preview_token, resend, revoke, update};
pub use join_request::{
    approve_join_request, create_join_request, deny_join_request, join_request_ref,
    list_join_requests,
};
pub use list_invites::list_invites;
pub use list_members::list_members;
pub use member::{add_member, leave, list_grants, member_of, set_member_role};
pub use membership::{
    batch_get_memberships, get_membership, list_memberships, set_member_expiry,
    update_member_metadata,
};
pub use my_organization::{
    create_own_organization, list_my_organizations, my_organization, update_organization_metadata,
};
pub use organization::{
    create_organization, invite_token, join_organization, member_id, organization_id, set_role,
    update_organization,
};

pub use sign_in::{begin_sign_in, finish_sign_in, renew_sign_in};
pub use webhook::{
    create_webhook, list_deliveries, list_webhooks, replay, update_webhook, webhook_ref,
};

use fields::{Fields, MAX_TOKEN};

use crate::domain::PageSize;
use crate::error::Result;
use crate::operations::events::to_timestamp;
use crate::proto::guestlist::v1::PageRequest;

/// The page size and the page token of a list request in `guestlist.v1`.
pub fn page(page: Option<PageRequest>) -> Result<(PageSize, String)> {
    let mut fields = Fields::default();
    let page = fields.page(page);
    fields.finish(|| page)
}

#[cfg(test)]
mod tests;
