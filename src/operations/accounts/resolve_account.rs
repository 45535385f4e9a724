//! `guestlist.v1.AccountService/ResolveAccount`

use crate::auth::accounts::{By, Identity, resolve};
use crate::auth::issuers::{Said, profile};
use crate::domain::{Account, AccountKind, KeyScope};
use crate::error::{Error, Result};
use crate::operations::{Call, Context};

/// Whom an internal service has authenticated.
#[derive(Debug, Clone)]
pub struct ResolveAccount {
    /// Who vouches.
    pub issuer: String,
    /// For whom.
    pub subject: String,
    /// What the service says about them.
    pub said: Said,
}

/// Finds or makes a person's account and brings its profile up to date; answers
/// it, and whether it was made. Only keys of scope `act` may, themselves acting
/// for nobody, and only for configured issuers.
pub async fn resolve_account(
    cx: &Context,
    call: &Call,
    input: ResolveAccount,
) -> Result<(Account, bool)> {
    let caller = &call.caller;
    if caller.scope() != Some(KeyScope::Act) || caller.acting.is_some() {
        return Err(Error::permission_denied("only a key of scope act may resolve accounts"));
    }
    let issuer = cx
        .issuers
        .get(&input.issuer)
        .ok_or_else(|| Error::permission_denied("no issuer of this name is configured"))?;
    let identity = Identity {
        issuer: input.issuer,
        subject: input.subject,
        kind: AccountKind::Person,
        profile: profile(issuer, input.said),
    };
    resolve(&cx.store, cx.now(), By::Actor(call.actor()), identity).await
}
