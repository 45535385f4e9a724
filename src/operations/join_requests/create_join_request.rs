//! `guestlist.v1.JoinRequestService/CreateJoinRequest`

use crate::domain::{JoinRequest, OrganizationId};
use crate::error::{Error, Result};
use crate::operations::invites::TokenOrId;
use crate::operations::members::{Entered, Entry, JoinBy, enter};
use crate::operations::{Context, RequestContext};

/// What an account requests to join.
#[derive(Debug, Clone, Copy)]
pub enum JoinRequestTarget {
    /// A link that needs approval.
    Link(TokenOrId),
    /// An organization's id; the domain of the account's verified address must allow requests.
    Organization(OrganizationId),
}

/// Creates a request to join, or returns the pending one. The rules are those of a join, except the
/// seat limit, which is checked when the request is approved.
pub async fn create_join_request(
    cx: &Context,
    call: &RequestContext,
    target: JoinRequestTarget,
) -> Result<JoinRequest> {
    let by = match target {
        JoinRequestTarget::Link(name) => JoinBy::Invite(name),
        JoinRequestTarget::Organization(id) => JoinBy::Organization(id),
    };
    match enter(cx, call, by, Entry::Request).await? {
        Entered::Requested(request) => Ok(request),
        Entered::Member(_) => Err(Error::internal("a request to join has made a member")),
    }
}
