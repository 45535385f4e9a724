//! `guestlist.v1.MemberService/SuspendMember`

use super::change_member::{Changing, MemberOf};
use crate::domain::{Action, MemberStatus};
use crate::error::Result;
use crate::operations::{Context, RequestContext};
use crate::storage::members;

/// Takes a member's rights and leaves their seat; their invites end in the same
/// transaction, for good. Admins may.
pub async fn suspend_member(cx: &Context, call: &RequestContext, who: MemberOf) -> Result<()> {
    let now = cx.now();
    let call = call.clone();
    cx.store
        .write(async move |tx| {
            let changing = Changing::begin(tx, &call, who, now).await?;
            if changing.member.status == MemberStatus::Suspended {
                return Ok(());
            }
            changing.keeps_an_admin().await?;
            members::set_status(tx, who.organization, who.member, MemberStatus::Suspended).await?;
            let note = changing.end_invites().await?;
            changing.finish(Action::MemberSuspended, note).await
        })
        .await
}
