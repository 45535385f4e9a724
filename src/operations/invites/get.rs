//! `guestlist.v1.InviteService/Get`

use super::InviteWithToken;
use super::inviters::as_of_inviters;
use crate::domain::{InviteId, OrganizationId, Permission};
use crate::error::{Error, Result};
use crate::operations::access::Access;
use crate::operations::{Context, RequestContext};
use crate::storage::invites;

/// Returns an invite, with its token if it is a live link. Only admins may do this.
pub async fn get(
    cx: &Context,
    call: &RequestContext,
    organization: OrganizationId,
    id: InviteId,
) -> Result<InviteWithToken> {
    let (db, now) = (cx.store.read(), cx.now());
    let manage = Permission::ManageInvites;
    let access = Access::to_read(db, &call.caller, organization, manage, now).await?;
    let row = invites::find_with_token(db, organization, id).await?.ok_or_else(Error::not_found)?;
    let row = as_of_inviters(db, &access, vec![row], now).await?.pop();
    InviteWithToken::with_token(&cx.keyring, row.ok_or_else(Error::not_found)?, now)
}
