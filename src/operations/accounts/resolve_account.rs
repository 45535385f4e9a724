//! `guestlist.v1.AccountService/ResolveAccount`

use crate::auth::{self, Identity};
use crate::domain::Account;
use crate::error::{Error, Result};
use crate::operations::{Context, RequestContext};

/// Finds or creates the account of a person that an internal service has authenticated,
/// and updates its profile. Returns the account and whether it was created. Needs a key of
/// scope `act` that does not itself act for another account; the issuer must be configured.
pub async fn resolve_account(
    cx: &Context,
    call: &RequestContext,
    identity: Identity,
) -> Result<(Account, bool)> {
    if !call.caller.may_act() {
        return Err(Error::permission_denied("only a key of scope act may resolve accounts"));
    }
    auth::resolve(&cx.store, &cx.issuers, cx.now(), &call.actor(), identity).await
}
