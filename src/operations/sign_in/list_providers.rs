//! `guestlist.v1.SignInService/ListProviders`

use crate::operations::Context;

/// Issuer and name of each issuer that people can sign in with.
pub fn list_providers(cx: &Context) -> impl Iterator<Item = (&str, &str)> {
    cx.sign_ins.providers()
}
