//! `GetOrganizationInviteSummary`

use super::{InviteSummary, preview};
use crate::domain::InviteToken;
use crate::error::Result;
use crate::operations::{Context, MaybeCaller};

/// The same as [`preview()`], under its name in `gitpod.v1`.
pub async fn get_organization_invite_summary(
    cx: &Context,
    caller: &MaybeCaller,
    token: InviteToken,
) -> Result<InviteSummary> {
    preview(cx, caller, token).await
}
