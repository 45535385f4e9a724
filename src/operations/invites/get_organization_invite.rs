//! `GetOrganizationInvite`

use std::sync::Arc;

use super::rotate_join_link;
use super::tokens::unseal;
use crate::domain::{InviteToken, OrganizationId, Permission};
use crate::error::Result;
use crate::operations::access::Access;
use crate::operations::budget::Budget;
use crate::operations::{Context, RequestContext};
use crate::storage::change;
use crate::storage::invites;

/// Returns the token of the live join link; creates the link if there is none. Only admins may do
/// this.
pub async fn get_organization_invite(
    cx: &Context,
    call: &RequestContext,
    organization: OrganizationId,
) -> Result<InviteToken> {
    let now = cx.now();
    let manage = Permission::ManageInvites;
    let db = cx.store.read();
    let access = Access::to_read(db, &call.caller, organization, manage, now).await?;
    // If expired memberships are still stored as current, the link's inviter may be among them, and
    // the link ends too: the transaction below checks this under the lock.
    if access.due(now).is_none()
        && let Some((invite, sealed)) = invites::join_link(db, organization).await?
        && invite.is_live(now)
    {
        return unseal(&cx.keyring, &invite, &sealed);
    }

    let budget = Budget::new(cx, call, organization);
    let (keyring, call) = (Arc::clone(&cx.keyring), call.clone());
    cx.store
        .write_in(
            organization,
            change!(async move |tx| {
                let access = Access::to_change(tx, &call.caller, organization, manage, now).await?;
                // Another request may have created one since the first read.
                let before = match invites::join_link(tx, organization).await? {
                    Some((invite, sealed)) if invite.is_live(now) => {
                        return unseal(&keyring, &invite, &sealed);
                    }
                    found => found.map(|(invite, _)| invite.id),
                };
                budget.spend_on_link()?;
                rotate_join_link(tx, &keyring, &call, access, before, now).await
            }),
        )
        .await
}
