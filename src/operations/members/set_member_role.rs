//! `guestlist.v1.MemberService/SetMemberRole`

use super::change_member::{Changing, MemberOf};
use crate::domain::Role;
use crate::error::Result;
use crate::operations::{Context, RequestContext};

/// Sets a member's role to any there is. Admins may. The invites of a member who
/// may not manage them any more end in the same transaction.
pub async fn set_member_role(
    cx: &Context,
    call: &RequestContext,
    who: MemberOf,
    role: Role,
) -> Result<()> {
    let now = cx.now();
    let call = call.clone();
    cx.store
        .write(async move |tx| {
            let changing = Changing::begin(tx, &call, who, now).await?;
            if changing.member.role == role {
                return Ok(());
            }
            changing.set_role(role).await
        })
        .await
}
