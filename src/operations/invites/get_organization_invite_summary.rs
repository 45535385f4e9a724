//! `GetOrganizationInviteSummary`

use super::{InviteSummary, preview};
use crate::domain::InviteToken;
use crate::error::Result;
use crate::operations::{Context, MaybeCaller};

/// Shows whoever holds a live token what it leads to: a preview by its older name.
pub async fn get_organization_invite_summary(
    cx: &Context,
    caller: &MaybeCaller,
    token: InviteToken,
) -> Result<InviteSummary> {
    preview(cx, caller, token).await
}
