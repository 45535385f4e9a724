//! `guestlist.v1.JoinRequestService/DenyJoinRequest`

use std::time::Duration;

use super::record::{JoinRequestRef, decided, record};
use crate::domain::{Action, Decision, JoinRequest, JoinRequestState, Permission};
use crate::error::{Error, Result};
use crate::operations::access::Access;
use crate::operations::notices::enqueue_request_decided;
use crate::operations::{Context, RequestContext};
use crate::storage::{change, join_requests, organizations};

#[derive(Debug, Clone)]
pub struct DenyJoinRequest {
    pub of: JoinRequestRef,
    /// Free text for the account.
    pub reason: String,
    /// How long the account cannot request again.
    pub pause: Option<Duration>,
}

/// Denies a pending request. A request that is already denied is returned unchanged. Only admins
/// may do this.
pub async fn deny_join_request(
    cx: &Context,
    call: &RequestContext,
    input: DenyJoinRequest,
) -> Result<JoinRequest> {
    let now = cx.now();
    let DenyJoinRequest { of, reason, pause } = input;
    let call = call.clone();
    let denied = change!(async move |tx| {
        let manage = Permission::ManageMembers;
        let access = Access::to_change(tx, &call.caller, of.organization, manage, now).await?;
        let mut organization = access.organization;
        let found = join_requests::find(tx, organization.id, of.id).await?;
        let request = found.ok_or_else(Error::not_found)?;
        match request.state {
            JoinRequestState::Pending => {}
            JoinRequestState::Denied => return Ok(request),
            _ => return Err(decided()),
        }
        organization.version += 1;
        let version = organization.at_version();
        organizations::set_version(tx, version).await?;
        let decision = Decision {
            at: now,
            by: Some(access.member.id),
            reason: reason.clone(),
            ask_again_at: pause.map(|pause| now.plus(pause)),
        };
        let request = request.decided(JoinRequestState::Denied, decision);
        join_requests::decide(tx, &request).await?;
        let actor = call.actor();
        record(tx, Action::JoinRequestDenied, &request, version, &actor, now).await?;
        enqueue_request_decided(tx, &request, &actor, now).await?;
        Ok(request)
    });
    cx.store.write_in(of.organization, denied).await
}
