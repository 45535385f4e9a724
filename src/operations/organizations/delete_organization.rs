//! `DeleteOrganization`

use crate::domain::{Action, OrganizationId, Permission, TargetKind};
use crate::error::Result;
use crate::operations::access::Access;
use crate::operations::{Context, RequestContext};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::{Store, api_keys, organizations, removals};

/// Rows that one transaction removes at most: other changes wait no longer than for that.
const ROWS_TOGETHER: u64 = 500;

/// Deletes an organization for good, with its members and invites; keys bound to
/// it are revoked. The audit trail stays. Admins may.
///
/// Nobody finds anything of it from the commit on; of a large one, rows are left that
/// [`remove_deleted`] removes.
pub async fn delete_organization(
    cx: &Context,
    call: &RequestContext,
    id: OrganizationId,
) -> Result<()> {
    let now = cx.now();
    let call = call.clone();
    cx.store
        .write(async move |tx| {
            let manage = Permission::ManageOrganization;
            let access = Access::to_change(tx, &call.caller, id, manage).await?;
            let actor = call.actor();
            let keys = api_keys::revoke_bound_to(tx, id, now).await?;
            let events = keys.iter().map(|key| NewEvent {
                action: Action::KeyRevoked,
                target_kind: TargetKind::Key,
                target_id: key.to_string(),
                organization: Some(id),
                actor: &actor,
                note: "its organization was deleted".to_owned(),
            });
            audit_events::append_all(tx, events.collect(), now).await?;
            organizations::delete(tx, id).await?;
            if !removals::remove_rows(tx, id, ROWS_TOGETHER).await? {
                removals::insert(tx, id).await?;
            }
            let event = NewEvent {
                action: Action::OrganizationDeleted,
                target_kind: TargetKind::Organization,
                target_id: id.to_string(),
                organization: Some(id),
                actor: &actor,
                note: format!("{} members", access.organization.member_count),
            };
            audit_events::append(tx, event, now).await
        })
        .await
}

/// Removes some of the rows that deleted organizations have left; answers whether there
/// were any.
///
/// # Errors
/// If the store cannot be used; what was removed until then stays removed.
pub async fn remove_deleted(store: &Store) -> Result<bool> {
    store
        .write(async move |tx| {
            let Some(id) = removals::next(tx).await? else { return Ok(false) };
            if removals::remove_rows(tx, id, ROWS_TOGETHER).await? {
                removals::delete(tx, id).await?;
            }
            Ok(true)
        })
        .await
}
