//! `guestlist.v1.SignInService/RenewSignIn`

use crate::auth::{Renew, SignedIn};
use crate::error::Result;
use crate::operations::budget::count_sign_in;
use crate::operations::{Context, MaybeCaller};

/// Exchanges a refresh token for a new token of the same person.
pub async fn renew_sign_in(cx: &Context, caller: &MaybeCaller, input: &Renew) -> Result<SignedIn> {
    count_sign_in(cx, caller)?;
    cx.sign_ins.renew(input).await
}
