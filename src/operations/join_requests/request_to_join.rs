//! The last step of every request to join, by link or by domain.

use super::record::record;
use crate::domain::{
    AccountId, Action, Actor, InviteId, JoinRequest, JoinRequestId, JoinRequestState, Organization,
    Timestamp,
};
use crate::error::{Error, Result, reason};
use crate::operations::notices::enqueue_requests_waiting;
use crate::storage::{Tx, join_requests, organizations};

/// Creates a request to join for an account, or returns its pending one. The organization's row
/// must be locked, and the account must not be a member.
///
/// # Errors
/// FAILED_PRECONDITION `ASK_LATER` while the pause after a denial lasts.
pub(in crate::operations) async fn request_to_join(
    tx: &Tx,
    mut organization: Organization,
    (account, invite): (AccountId, Option<InviteId>),
    actor: &Actor,
    now: Timestamp,
) -> Result<JoinRequest> {
    if let Some(pending) = join_requests::pending(tx, organization.id, account).await? {
        return Ok(pending);
    }
    let paused = join_requests::paused_until(tx, organization.id, account, now).await?;
    if let Some(until) = paused {
        let micros = until.as_micros().saturating_sub(now.as_micros());
        let wait = std::time::Duration::from_micros(micros.unsigned_abs());
        let what = "your last request was denied; ask again later";
        return Err(Error::precondition(reason::ASK_LATER, what).with_retry_after(wait));
    }
    organization.version += 1;
    let version = organization.at_version();
    organizations::set_version(tx, version).await?;
    let request = JoinRequest {
        id: JoinRequestId::generate(now),
        organization: organization.id,
        account,
        state: JoinRequestState::Pending,
        invite,
        version: version.version,
        created_at: now,
        decision: None,
        member: None,
    };
    join_requests::insert(tx, &request).await?;
    record(tx, Action::JoinRequestCreated, &request, version, actor, now).await?;
    enqueue_requests_waiting(tx, request.organization, actor, now).await?;
    Ok(request)
}
