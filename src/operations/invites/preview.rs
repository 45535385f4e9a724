//! `guestlist.v1.InviteService/Preview`, which `GetOrganizationInviteSummary` is as
//! well.

use crate::domain::{InviteToken, OrganizationId, OrganizationName};
use crate::error::{Error, Result};
use crate::operations::budget::count_preview;
use crate::operations::{Context, Visitor};
use crate::storage::invites;

/// What an invite leads to, and nothing more.
#[derive(Debug, Clone)]
pub struct InviteSummary {
    /// The organization.
    pub organization: OrganizationId,
    /// Its name.
    pub name: OrganizationName,
    /// Active and suspended members.
    pub member_count: i64,
}

/// Shows whoever holds a live token what it leads to. An email invitation shows
/// itself to its own verified address, and to others where a setting opens
/// previews.
pub async fn preview(cx: &Context, visitor: &Visitor, token: InviteToken) -> Result<InviteSummary> {
    count_preview(cx, visitor)?;
    let now = cx.now();
    let call = visitor.call();
    let own = call.and_then(|call| call.caller.account.profile.verified_email());
    let (_, organization) = invites::find_by_token(cx.store.read(), &token.hash())
        .await?
        .filter(|(invite, _)| invite.is_live(now))
        .filter(|(invite, _)| {
            cx.rules.public_preview || invite.email.is_none() || invite.email.as_ref() == own
        })
        .filter(|(_, organization)| call.is_none_or(|call| call.caller.reaches(organization.id)))
        .ok_or_else(Error::not_found)?;
    Ok(InviteSummary {
        organization: organization.id,
        name: organization.name,
        member_count: organization.member_count,
    })
}
