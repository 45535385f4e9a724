//! `guestlist.v1.MemberService/BatchGetMemberships`

use crate::domain::Membership;
use crate::error::{Error, Result};
use crate::operations::{Context, RequestContext};
use crate::storage::memberships::MembershipKey;

/// Returns the membership for each of `keys`, in their order; `None` if there is none that the
/// caller may see. The caller needs an API key of scope `act`, and must not act for another account
/// in this request. It may see the memberships of the accounts that it may act for, and those of
/// its own account.
pub async fn batch_get_memberships(
    cx: &Context,
    call: &RequestContext,
    keys: Vec<MembershipKey>,
) -> Result<Vec<Option<Membership>>> {
    let caller = &call.caller;
    if !caller.may_act() {
        return Err(Error::permission_denied("only a key of scope act may get many memberships"));
    }
    let found = cx.store.memberships(&keys, cx.now()).await?;
    let membership = |key: &MembershipKey| {
        let found = found.get(key).filter(|_| caller.reaches(key.0))?;
        let may = key.1 == caller.account.id || cx.issuers.may_be_acted_for(&found.issuer);
        may.then(|| found.membership.clone())
    };
    Ok(keys.iter().map(membership).collect())
}
