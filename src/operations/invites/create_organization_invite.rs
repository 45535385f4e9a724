//! `CreateOrganizationInvite`

use std::sync::Arc;

use futures_util::future::try_join;

use super::rotate_join_link;
use crate::domain::{InviteToken, OrganizationId, Permission};
use crate::error::Result;
use crate::operations::access::Access;
use crate::operations::budget::Budget;
use crate::operations::{Call, Context};
use crate::storage::invites;

/// Makes a new join link; the one before stops working at once. Admins may.
pub async fn create_organization_invite(
    cx: &Context,
    call: &Call,
    organization: OrganizationId,
) -> Result<InviteToken> {
    let now = cx.now();
    let budget = Budget::of(cx, call, organization);
    let (keyring, call) = (Arc::clone(&cx.keyring), call.clone());
    cx.store
        .write(async move |tx| {
            let manage = Permission::ManageInvites;
            // Asked together and done in this order: the link is read under the lock.
            let access = Access::to_change(tx, &call.caller, organization, manage);
            let before = invites::join_link_id(tx, organization, now);
            let (access, before) = try_join(access, before).await?;
            budget.spend_on_link()?;
            rotate_join_link(tx, &keyring, &call, access, before, now).await
        })
        .await
}
