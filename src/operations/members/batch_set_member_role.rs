//! `guestlist.v1.MemberService/BatchSetMemberRole`

use super::batch::{MemberAction, MemberOutcome, change_members};
use crate::domain::{MemberId, OrganizationId, Role};
use crate::error::Result;
use crate::operations::{Context, RequestContext};

/// Sets the role of members, with a result for each. Only admins may do this.
pub async fn batch_set_member_role(
    cx: &Context,
    call: &RequestContext,
    members: (OrganizationId, Vec<MemberId>),
    role: Role,
) -> Result<Vec<MemberOutcome>> {
    change_members(cx, call, members, MemberAction::SetRole(role)).await
}
