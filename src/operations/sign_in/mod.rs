//! Signing in on our pages.

mod begin_sign_in;
mod finish_sign_in;
mod list_providers;
mod renew_sign_in;

pub use crate::auth::{
    Begin, Begun, Finish, MAX_REFRESH_BYTES, MAX_RENEWED_BYTES, Renew, SignedIn,
};
pub use begin_sign_in::begin_sign_in;
pub use finish_sign_in::finish_sign_in;
pub use list_providers::list_providers;
pub use renew_sign_in::renew_sign_in;
