//! `GetOrganizationInviteSummary`

use crate::domain::{InviteToken, OrganizationId, OrganizationName};
use crate::error::{Error, Result};
use crate::operations::{Call, Context};
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

/// Shows whoever holds a live token what it leads to. `call` is none where a
/// setting opens the preview to callers without a credential.
pub async fn get_organization_invite_summary(
    cx: &Context,
    call: Option<&Call>,
    token: InviteToken,
) -> Result<InviteSummary> {
    let now = cx.now();
    let (_, organization) = invites::find_by_token(cx.store.read(), &token.hash())
        .await?
        .filter(|(invite, _)| invite.is_live(now))
        .filter(|(_, organization)| call.is_none_or(|call| call.caller.reaches(organization.id)))
        .ok_or_else(Error::not_found)?;
    Ok(InviteSummary {
        organization: organization.id,
        name: organization.name,
        member_count: organization.member_count,
    })
}
