//! `GetOrganizationInviteSummary`

use super::{InviteSummary, preview};
use crate::domain::InviteToken;
use crate::error::Result;
use crate::operations::{Context, Visitor};

/// Shows whoever holds a live token what it leads to: a preview by its older name.
pub async fn get_organization_invite_summary(
    cx: &Context,
    visitor: &Visitor,
    token: InviteToken,
) -> Result<InviteSummary> {
    preview(cx, visitor, token).await
}
