//! `guestlist.v1.AccountService/GetCaller`

use crate::domain::Caller;
use crate::operations::RequestContext;

/// Says who asks, and by which credential. Any account may.
pub fn get_caller(call: &RequestContext) -> &Caller {
    &call.caller
}
