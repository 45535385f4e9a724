//! `guestlist.v1.JoinRequestService/WithdrawJoinRequest`

use super::record::{JoinRequestRef, decided, record};
use crate::domain::{Action, Decision, JoinRequest, JoinRequestState};
use crate::error::{Error, Result};
use crate::operations::budget::count_join;
use crate::operations::{Context, RequestContext};
use crate::storage::{change, join_requests, organizations};

/// Withdraws the caller's own pending request. A request that is already withdrawn is returned
/// unchanged.
pub async fn withdraw_join_request(
    cx: &Context,
    call: &RequestContext,
    of: JoinRequestRef,
) -> Result<JoinRequest> {
    count_join(cx, call)?;
    let (now, account) = (cx.now(), call.caller.account.id);
    if !call.caller.reaches(of.organization) {
        return Err(Error::not_found());
    }
    // The first read takes no lock, so that a request with an unknown id never uses a write
    // transaction.
    let found = join_requests::find(cx.store.read(), of.organization, of.id).await?;
    if found.is_none_or(|request| request.account != account) {
        return Err(Error::not_found());
    }
    let call = call.clone();
    let withdrawn = change!(async move |tx| {
        let locked = organizations::lock(tx, of.organization).await?;
        let mut organization = locked.ok_or_else(Error::not_found)?;
        let found = join_requests::find(tx, of.organization, of.id).await?;
        let own = found.filter(|request| request.account == account);
        let request = own.ok_or_else(Error::not_found)?;
        match request.state {
            JoinRequestState::Pending => {}
            JoinRequestState::Withdrawn => return Ok(request),
            _ => return Err(decided()),
        }
        organization.version += 1;
        let version = organization.at_version();
        organizations::set_version(tx, version).await?;
        let request = request.decided(JoinRequestState::Withdrawn, Decision::at(now));
        join_requests::decide(tx, &request).await?;
        record(tx, Action::JoinRequestWithdrawn, &request, version, &call.actor(), now).await?;
        Ok(request)
    });
    cx.store.write_in(of.organization, withdrawn).await
}
