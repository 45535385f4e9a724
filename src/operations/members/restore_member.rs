//! `guestlist.v1.MemberService/RestoreMember`

use super::change_member::{Changing, MemberOf};
use crate::domain::{Action, MemberStatus};
use crate::error::Result;
use crate::operations::{Context, RequestContext};
use crate::storage::members;

/// Gives a suspended member their rights back; not their invites. Admins may.
pub async fn restore_member(cx: &Context, call: &RequestContext, who: MemberOf) -> Result<()> {
    let now = cx.now();
    let call = call.clone();
    cx.store
        .write(async move |tx| {
            let changing = Changing::begin(tx, &call, who, now).await?;
            if changing.member.status == MemberStatus::Active {
                return Ok(());
            }
            members::set_status(tx, who.organization, who.member, MemberStatus::Active).await?;
            changing.finish(Action::MemberRestored, String::new()).await
        })
        .await
}
