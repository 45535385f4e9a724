//! `guestlist.v1.SignInService/FinishSignIn`

use crate::auth::{Finish, SignedIn};
use crate::error::Result;
use crate::operations::budget::count_sign_in;
use crate::operations::{Context, MaybeCaller};

/// Exchanges a code for a token. The account is found or created by the first request with the
/// token, as for any other token.
pub async fn finish_sign_in(
    cx: &Context,
    caller: &MaybeCaller,
    input: &Finish,
) -> Result<SignedIn> {
    count_sign_in(cx, caller)?;
    cx.sign_ins.finish(input).await
}
