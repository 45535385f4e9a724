//! Named links, for contracts that identify a link by its token.

use super::InviteWithToken;
use super::inviters::inviter_membership_expired;
use crate::domain::{Invite, InviteKind, InviteToken, OrganizationId, Permission, Role};
use crate::error::Result;
use crate::operations::access::Access;
use crate::operations::{Context, RequestContext};
use crate::storage::{grants, invites};

/// Returns the live named link of an organization with this token, if any. Only admins may do this.
pub async fn find_link(
    cx: &Context,
    call: &RequestContext,
    organization: OrganizationId,
    token: &str,
) -> Result<Option<InviteWithToken>> {
    let (db, now) = (cx.store.read(), cx.now());
    let manage = Permission::ManageInvites;
    let access = Access::to_read(db, &call.caller, organization, manage, now).await?;
    let Ok(token) = token.parse::<InviteToken>() else { return Ok(None) };
    let found = invites::find_by_token(db, &token.hash())
        .await?
        .map(|(invite, _)| invite)
        .filter(|invite| invite.organization == organization)
        .filter(|invite| invite.kind == InviteKind::NamedLink && invite.is_live(now));
    match found {
        Some(link) if !inviter_membership_expired(db, &access.organization, &link, now).await? => {
            Ok(Some(InviteWithToken { invite: link, token: Some(token) }))
        }
        _ => Ok(None),
    }
}

/// Whether the caller, a member, already has everything that the link grants.
pub async fn is_redundant(cx: &Context, call: &RequestContext, link: &Invite) -> Result<bool> {
    let db = cx.store.read();
    let view = Permission::ViewOrganization;
    let access = Access::to_read(db, &call.caller, link.organization, view, cx.now()).await?;
    match &link.content {
        Some(content) => grants::exists(db, access.member.id, content).await,
        None => Ok(access.member.role.may_grant(link.role)),
    }
}

/// Returns the roles that the caller may grant with invites. Only admins may do this.
pub async fn grantable_roles(
    cx: &Context,
    call: &RequestContext,
    organization: OrganizationId,
) -> Result<Vec<Role>> {
    let manage = Permission::ManageInvites;
    let access =
        Access::to_read(cx.store.read(), &call.caller, organization, manage, cx.now()).await?;
    let own = access.member.role;
    Ok(Role::ALL.into_iter().filter(|role| own.may_grant(*role)).collect())
}
