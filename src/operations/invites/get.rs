//! `guestlist.v1.InviteService/Get`

use super::Shown;
use crate::domain::{InviteId, InviteToken, OrganizationId, Permission};
use crate::error::{Error, Result};
use crate::operations::access::Access;
use crate::operations::{Call, Context};
use crate::storage::invites;

/// Reads an invite, with its token while it is live. Admins may.
pub async fn get(
    cx: &Context,
    call: &Call,
    organization: OrganizationId,
    id: InviteId,
) -> Result<Shown> {
    let db = cx.store.read();
    let manage = Permission::ManageInvites;
    Access::to_read(db, &call.caller, organization, manage).await?;
    let row = invites::find_with_token(db, organization, id).await?.ok_or_else(Error::not_found)?;
    Shown::with_token(&cx.keyring, row, cx.now())
}

/// The same by its token, for contracts that know an invite by nothing else.
pub async fn find_by_token(
    cx: &Context,
    call: &Call,
    organization: OrganizationId,
    token: InviteToken,
) -> Result<Shown> {
    let db = cx.store.read();
    let manage = Permission::ManageInvites;
    Access::to_read(db, &call.caller, organization, manage).await?;
    let (invite, _) = invites::find_by_token(db, &token.hash())
        .await?
        .filter(|(invite, _)| invite.organization == organization)
        .ok_or_else(Error::not_found)?;
    Ok(Shown { invite: invite.as_of(cx.now()), token: Some(token) })
}
