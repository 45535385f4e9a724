//! `guestlist.v1.MemberService/RestoreMember`

use super::change_member::{MemberChange, MemberOf};
use crate::domain::{Action, MemberData, MemberStatus};
use crate::error::Result;
use crate::operations::{Context, RequestContext};
use crate::storage::change;
use crate::storage::members;

/// Restores a suspended member's rights, but not the invites that the suspension ended. Only admins
/// may do this.
pub async fn restore_member(cx: &Context, call: &RequestContext, who: MemberOf) -> Result<()> {
    let now = cx.now();
    let call = call.clone();
    cx.store
        .write_in(
            who.organization,
            change!(async move |tx| {
                let change = MemberChange::begin(tx, &call, who, now).await?;
                if change.member.status == MemberStatus::Active {
                    return Ok(());
                }
                members::set_status(tx, who.organization, who.member, MemberStatus::Active).await?;
                let status = MemberStatus::Active;
                let data = MemberData { status, ..MemberData::from(&change.member) };
                change.record(Action::MemberRestored, data, String::new()).await
            }),
        )
        .await
}
