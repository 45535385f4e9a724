//! `guestlist.v1.MemberService/GetMembership`

use crate::domain::{AccountId, MemberId, Membership, OrganizationId, Permission, Timestamp};
use crate::error::{Error, Result};
use crate::operations::{Context, RequestContext};
use crate::storage::memberships;

/// The account or member whose membership is requested.
#[derive(Debug, Clone, Copy)]
pub enum Whose {
    Own,
    Account(AccountId),
    Member(MemberId),
}

/// Returns a current membership: the caller's own; any, if the caller may list members; and those
/// of the accounts that a service may act for. All other cases return the same NOT_FOUND, so that
/// neither organizations nor memberships can be probed.
pub async fn get_membership(
    cx: &Context,
    call: &RequestContext,
    organization: OrganizationId,
    whose: Whose,
) -> Result<Membership> {
    let caller = &call.caller;
    if !caller.reaches(organization) {
        return Err(Error::not_found());
    }
    let now = cx.now();
    let found = match whose {
        Whose::Own => cx.store.membership_of(organization, &caller.account, now).await?,
        Whose::Account(account) => cx.store.membership(organization, account, now).await?,
        Whose::Member(id) => {
            memberships::find_by_id(cx.store.read(), organization, id, now).await?
        }
    };
    let found = found.ok_or_else(Error::not_found)?;
    let may = found.membership.account == caller.account.id
        || (caller.may_act() && cx.issuers.may_be_acted_for(&found.issuer))
        || may_list_members(cx, call, organization, now).await?;
    if may { Ok(found.membership) } else { Err(Error::not_found()) }
}

async fn may_list_members(
    cx: &Context,
    call: &RequestContext,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<bool> {
    let own = cx.store.membership_of(organization, &call.caller.account, now).await?;
    Ok(own.is_some_and(|own| own.membership.allows(Permission::ListMembers)))
}
