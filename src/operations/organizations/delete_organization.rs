//! `DeleteOrganization`

use crate::domain::{Action, EventData, OrganizationId, Permission};
use crate::error::Result;
use crate::operations::access::Access;
use crate::operations::{Context, RequestContext};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::change;
use crate::storage::{Store, api_keys, domains, organizations, removals, webhooks};

/// The most rows that one transaction deletes. Other changes wait for the transaction, so
/// it must be short.
const MAX_ROWS_PER_CHANGE: u64 = 500;

/// Deletes an organization with its members and invites, and revokes the keys that are bound to it.
/// The audit trail is kept. Only admins may do this.
///
/// After the commit no request finds the organization. The remaining rows of a large organization
/// are deleted later by [`remove_deleted`]. Its enabled webhooks receive the event of the deletion
/// before they end.
pub async fn delete_organization(
    cx: &Context,
    call: &RequestContext,
    id: OrganizationId,
) -> Result<()> {
    let now = cx.now();
    let call = call.clone();
    cx.store
        .write_in(
            id,
            change!(async move |tx| {
                let manage = Permission::ManageOrganization;
                let mut access = Access::to_change(tx, &call.caller, id, manage, now).await?;
                access.organization.version += 1;
                let version = access.organization.at_version();
                let actor = call.actor();
                let keys = api_keys::revoke_bound_to(tx, id, now).await?;
                let events = keys.iter().map(|key| NewEvent {
                    action: Action::KeyRevoked,
                    data: EventData::Key {
                        id: key.clone(),
                        account: None,
                        scope: None,
                        revoked: true,
                    },
                    organization: Some(version),
                    actor: &actor,
                    note: "its organization was deleted".to_owned(),
                });
                audit_events::append_all(tx, events.collect(), now).await?;
                organizations::delete(tx, id).await?;
                webhooks::end_all(tx, id).await?;
                // The domains are deleted at once, because another organization may verify them
                // now.
                domains::delete_all(tx, id).await?;
                if !removals::remove_rows(tx, id, MAX_ROWS_PER_CHANGE).await? {
                    removals::insert(tx, id).await?;
                }
                let event = NewEvent {
                    action: Action::OrganizationDeleted,
                    data: EventData::organization(&access.organization, Vec::new()),
                    organization: Some(version),
                    actor: &actor,
                    note: format!("{} members", access.organization.member_count),
                };
                audit_events::append(tx, event, now).await
            }),
        )
        .await
}

/// Deletes some of the remaining rows of one deleted organization; returns whether there
/// was such an organization.
///
/// # Errors
/// If the store fails; nothing is deleted then.
pub async fn remove_deleted(store: &Store) -> Result<bool> {
    store
        .write(change!(async move |tx| {
            let Some(id) = removals::next(tx).await? else { return Ok(false) };
            if removals::remove_rows(tx, id, MAX_ROWS_PER_CHANGE).await? {
                removals::delete(tx, id).await?;
            }
            Ok(true)
        }))
        .await
}
