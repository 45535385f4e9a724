//! `guestlist.v1.InviteService/Preview`, also used by `GetOrganizationInviteSummary`.

use super::shown_continue_url;
use crate::domain::{ContinueUrl, InviteToken, OrganizationId, OrganizationName};
use crate::error::{Error, Result};
use crate::operations::budget::count_preview;
use crate::operations::{Context, MaybeCaller};
use crate::storage::previews::Preview;

/// The public part of an invite's organization.
#[derive(Debug, Clone)]
pub struct InviteSummary {
    pub organization: OrganizationId,
    pub name: OrganizationName,
    /// Active and suspended members.
    pub member_count: i64,
    /// The page where members continue after joining.
    pub continue_url: Option<ContinueUrl>,
}

/// Returns a summary of a live invite's organization to every caller with the token. For
/// an email invitation, the caller's verified address must be the invited one, unless the
/// setting `public_preview` is on.
pub async fn preview(
    cx: &Context,
    caller: &MaybeCaller,
    token: InviteToken,
) -> Result<InviteSummary> {
    count_preview(cx, caller)?;
    let now = cx.now();
    let call = caller.authenticated();
    let own = call.and_then(|call| call.caller.account.profile.verified_email());
    let found = cx.store.preview(&token.hash(), now).await?;
    let preview = found
        .filter(|it| cx.rules.public_preview || it.email.is_none() || it.email.as_ref() == own)
        .filter(|it| call.is_none_or(|call| call.caller.reaches(it.organization)))
        .ok_or_else(Error::not_found)?;
    let Preview { organization, name, member_count, continue_url, .. } = &*preview;
    Ok(InviteSummary {
        organization: *organization,
        name: name.clone(),
        member_count: *member_count,
        continue_url: shown_continue_url(cx, continue_url.as_ref()),
    })
}
