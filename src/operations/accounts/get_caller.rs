//! `guestlist.v1.AccountService/GetCaller`

use crate::domain::Caller;
use crate::operations::RequestContext;

/// Returns the caller's account and credential. Every caller may.
pub fn get_caller(call: &RequestContext) -> &Caller {
    &call.caller
}
