//! `guestlist.v1.MemberService/SetMemberExpiry`

use super::change_member::{MemberChange, MemberOf};
use crate::domain::{Action, Member, MemberData, Membership, Timestamp};
use crate::error::{Error, Result};
use crate::operations::{Context, RequestContext};
use crate::storage::{change, members};

/// Sets, changes or removes the end of a membership. Only admins may do this. An admin cannot
/// change the end of its own membership once it has one: otherwise the end would have no effect.
pub async fn set_member_expiry(
    cx: &Context,
    call: &RequestContext,
    who: MemberOf,
    expires_at: Option<Timestamp>,
) -> Result<Membership> {
    let now = cx.now();
    if expires_at.is_some_and(|end| end <= now) {
        return Err(Error::invalid("expire_time", "must be in the future"));
    }
    let call = call.clone();
    let set = change!(async move |tx| {
        let mut change = MemberChange::begin(tx, &call, who, now).await?;
        let before = change.member.clone();
        if before.expires_at == expires_at {
            return Ok(Membership::from(&before));
        }
        if before.id == change.access.member.id && before.expires_at.is_some() {
            let what = "the end of your own membership can only be changed by another admin";
            return Err(Error::permission_denied(what));
        }
        if expires_at.is_some() {
            change.require_another_admin().await?;
        }
        members::set_expiry(tx, who.organization, who.member, expires_at).await?;
        let next = members::next_end(tx, who.organization).await?;
        change.access.organization.next_member_end = next;
        let member = Member { expires_at, ..before };
        let data = MemberData::from(&member);
        change.record(Action::MemberUpdated, data, "expire_time".to_owned()).await?;
        Ok(Membership::from(&member))
    });
    cx.store.write_in(who.organization, set).await
}
