//! `guestlist.v1.SignInService/BeginSignIn`

use crate::auth::{Begin, Begun};
use crate::error::Result;
use crate::operations::budget::count_sign_in;
use crate::operations::{Context, MaybeCaller};

/// Returns the address of the issuer's page.
pub async fn begin_sign_in(cx: &Context, caller: &MaybeCaller, input: &Begin) -> Result<Begun> {
    count_sign_in(cx, caller)?;
    cx.sign_ins.begin(input).await
}
