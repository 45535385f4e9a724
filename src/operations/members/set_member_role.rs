//! `guestlist.v1.MemberService/SetMemberRole`

use super::change_member::{MemberChange, MemberOf};
use crate::domain::Role;
use crate::error::Result;
use crate::operations::{Context, RequestContext};
use crate::storage::change;

/// Sets a member's role, to any role. Only admins may do this. If the member loses the right to
/// manage invites, its invites end in the same transaction.
pub async fn set_member_role(
    cx: &Context,
    call: &RequestContext,
    who: MemberOf,
    role: Role,
) -> Result<()> {
    let now = cx.now();
    let call = call.clone();
    cx.store
        .write_in(
            who.organization,
            change!(async move |tx| {
                let change = MemberChange::begin(tx, &call, who, now).await?;
                if change.member.role == role {
                    return Ok(());
                }
                change.set_role(role).await
            }),
        )
        .await
}
