//! `guestlist.v1.AccountService/ResolveAccount`

use crate::auth::{self, Identity};
use crate::domain::{Account, KeyScope};
use crate::error::{Error, Result};
use crate::operations::{Context, RequestContext};

/// Finds or makes the account of a person whom an internal service has
/// authenticated, and brings its profile up to date; answers it, and whether it
/// was made. Only keys of scope `act` may, themselves acting for nobody, and only
/// for configured issuers.
pub async fn resolve_account(
    cx: &Context,
    call: &RequestContext,
    identity: Identity,
) -> Result<(Account, bool)> {
    let caller = &call.caller;
    if caller.scope() != Some(KeyScope::Act) || caller.acting.is_some() {
        return Err(Error::permission_denied("only a key of scope act may resolve accounts"));
    }
    auth::resolve(&cx.store, &cx.issuers, cx.now(), &call.actor(), identity).await
}
