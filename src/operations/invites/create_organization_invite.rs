//! `CreateOrganizationInvite`

use std::sync::Arc;

use super::rotate_join_link;
use crate::domain::{InviteToken, OrganizationId};
use crate::error::Result;
use crate::operations::access::Access;
use crate::operations::budget::Budget;
use crate::operations::{Context, RequestContext};
use crate::storage::change;

/// Creates a new join link. The previous one ends in the same transaction. Only admins may do this.
pub async fn create_organization_invite(
    cx: &Context,
    call: &RequestContext,
    organization: OrganizationId,
) -> Result<InviteToken> {
    let now = cx.now();
    let budget = Budget::new(cx, call, organization);
    let (keyring, call) = (Arc::clone(&cx.keyring), call.clone());
    cx.store
        .write_in(
            organization,
            change!(async move |tx| {
                let (access, before) =
                    Access::to_replace_join_link(tx, &call.caller, organization, now).await?;
                budget.spend_on_link()?;
                rotate_join_link(tx, &keyring, &call, access, before, now).await
            }),
        )
        .await
}
