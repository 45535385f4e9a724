//! `guestlist.v1.InviteService/Get`

use super::InviteWithToken;
use crate::domain::{InviteId, OrganizationId, Permission};
use crate::error::{Error, Result};
use crate::operations::access::Access;
use crate::operations::{Context, RequestContext};
use crate::storage::invites;

/// Returns an invite, with its token if it is a live link. Admins may.
pub async fn get(
    cx: &Context,
    call: &RequestContext,
    organization: OrganizationId,
    id: InviteId,
) -> Result<InviteWithToken> {
    let db = cx.store.read();
    let manage = Permission::ManageInvites;
    Access::to_read(db, &call.caller, organization, manage).await?;
    let row = invites::find_with_token(db, organization, id).await?.ok_or_else(Error::not_found)?;
    InviteWithToken::with_token(&cx.keyring, row, cx.now())
}
