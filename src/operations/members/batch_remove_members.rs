//! `guestlist.v1.MemberService/BatchRemoveMembers`

use super::batch::{MemberAction, MemberOutcome, change_members};
use crate::domain::{MemberId, OrganizationId};
use crate::error::Result;
use crate::operations::{Context, RequestContext};

/// Ends the memberships of members, with a result for each. Only admins may do this.
pub async fn batch_remove_members(
    cx: &Context,
    call: &RequestContext,
    members: (OrganizationId, Vec<MemberId>),
) -> Result<Vec<MemberOutcome>> {
    change_members(cx, call, members, MemberAction::Remove).await
}
