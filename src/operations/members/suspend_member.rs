//! `guestlist.v1.MemberService/SuspendMember`

use super::change_member::{MemberChange, MemberOf};
use crate::domain::{Action, MemberData, MemberStatus};
use crate::error::Result;
use crate::operations::{Context, RequestContext};
use crate::storage::change;
use crate::storage::members;

/// Suspends a member: it has no rights, but still counts against the seat limit. Its invites end in
/// the same transaction. Only admins may do this.
pub async fn suspend_member(cx: &Context, call: &RequestContext, who: MemberOf) -> Result<()> {
    let now = cx.now();
    let call = call.clone();
    cx.store
        .write_in(
            who.organization,
            change!(async move |tx| {
                let change = MemberChange::begin(tx, &call, who, now).await?;
                if change.member.status == MemberStatus::Suspended {
                    return Ok(());
                }
                change.require_another_admin().await?;
                members::set_status(tx, who.organization, who.member, MemberStatus::Suspended)
                    .await?;
                let note = change.end_invites().await?;
                let status = MemberStatus::Suspended;
                let data = MemberData { status, ..MemberData::from(&change.member) };
                change.record(Action::MemberSuspended, data, note).await
            }),
        )
        .await
}
