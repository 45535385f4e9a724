//! Named links, for contracts that identify a link by its token.

use super::InviteWithToken;
use crate::domain::{Invite, InviteKind, InviteToken, OrganizationId, Permission, Role};
use crate::error::Result;
use crate::operations::access::Access;
use crate::operations::{Context, RequestContext};
use crate::storage::{grants, invites};

/// The live named link of an organization with this token, if any. Admins may.
pub async fn find_link(
    cx: &Context,
    call: &RequestContext,
    organization: OrganizationId,
    token: &str,
) -> Result<Option<InviteWithToken>> {
    let db = cx.store.read();
    let manage = Permission::ManageInvites;
    Access::to_read(db, &call.caller, organization, manage).await?;
    let Ok(token) = token.parse::<InviteToken>() else { return Ok(None) };
    let found = invites::find_by_token(db, &token.hash())
        .await?
        .map(|(invite, _)| invite)
        .filter(|invite| invite.organization == organization)
        .filter(|invite| invite.kind == InviteKind::NamedLink && invite.is_live(cx.now()));
    Ok(found.map(|invite| InviteWithToken { invite, token: Some(token) }))
}

/// Whether the caller, a member, already has everything that the link grants.
pub async fn is_redundant(cx: &Context, call: &RequestContext, link: &Invite) -> Result<bool> {
    let db = cx.store.read();
    let view = Permission::ViewOrganization;
    let access = Access::to_read(db, &call.caller, link.organization, view).await?;
    match &link.content {
        Some(content) => grants::exists(db, access.member.id, content).await,
        None => Ok(access.member.role.may_grant(link.role)),
    }
}

/// The roles that the caller may grant with invites. Admins may.
pub async fn grantable_roles(
    cx: &Context,
    call: &RequestContext,
    organization: OrganizationId,
) -> Result<Vec<Role>> {
    let manage = Permission::ManageInvites;
    let access = Access::to_read(cx.store.read(), &call.caller, organization, manage).await?;
    let own = access.member.role;
    Ok(Role::ALL.into_iter().filter(|role| own.may_grant(*role)).collect())
}
