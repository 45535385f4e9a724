//! `guestlist.v1.AccountService/GetCaller`

use crate::domain::Caller;
use crate::operations::Call;

/// Says who asks, and by which credential. Any account may.
pub fn get_caller(call: &Call) -> &Caller {
    &call.caller
}
