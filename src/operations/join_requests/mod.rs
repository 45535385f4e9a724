//! Requests to join an organization.

mod approve_join_request;
mod create_join_request;
mod deny_join_request;
mod end;
mod list_join_requests;
mod list_joinable_organizations;
mod record;
mod request_to_join;
mod withdraw_join_request;

pub use approve_join_request::{ApproveJoinRequest, approve_join_request};
pub use create_join_request::{JoinRequestTarget, create_join_request};
pub use deny_join_request::{DenyJoinRequest, deny_join_request};
pub(in crate::operations) use end::{end, end_everywhere};
pub use list_join_requests::{JoinRequestList, ListJoinRequests, list_join_requests};
pub use list_joinable_organizations::{Joinable, list_joinable_organizations};
pub use record::JoinRequestRef;
pub(in crate::operations) use request_to_join::request_to_join;
pub use withdraw_join_request::withdraw_join_request;
