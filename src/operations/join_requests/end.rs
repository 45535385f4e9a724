//! Ends requests as a consequence of other changes.

use super::record::record;
use crate::domain::{
    AccountId, Action, Actor, Decision, JoinRequest, JoinRequestState, OrganizationVersion,
    Timestamp,
};
use crate::error::Result;
use crate::storage::{Store, Tx, change, join_requests, organizations};

/// Ends a pending request of an account that has become a member in another way. The organization's
/// row must be locked; `version` is its version after the change.
pub(in crate::operations) async fn end(
    tx: &Tx,
    pending: JoinRequest,
    version: OrganizationVersion,
    actor: &Actor,
    now: Timestamp,
) -> Result<()> {
    let ended = pending.decided(JoinRequestState::Ended, Decision::at(now));
    join_requests::decide(tx, &ended).await?;
    record(tx, Action::JoinRequestEnded, &ended, version, actor, now).await
}

/// Ends the pending requests of an account that is being erased.
pub(in crate::operations) async fn end_everywhere(
    store: &Store,
    account: AccountId,
    actor: &Actor,
    now: Timestamp,
) -> Result<()> {
    for request in join_requests::pending_everywhere(store.read(), account).await? {
        let actor = actor.clone();
        let of = request.organization;
        let ended = change!(async move |tx: &Tx| {
            let Some(mut organization) = organizations::lock(tx, of).await? else { return Ok(()) };
            let pending = join_requests::pending(tx, of, account).await?;
            let Some(pending) = pending else { return Ok(()) };
            organization.version += 1;
            let version = organization.at_version();
            organizations::set_version(tx, version).await?;
            end(tx, pending, version, &actor, now).await
        });
        store.write_in(of, ended).await?;
    }
    Ok(())
}
