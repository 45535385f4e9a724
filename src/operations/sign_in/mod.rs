//! Signing in on our pages.

mod begin_sign_in;
mod finish_sign_in;
mod list_providers;

pub use crate::auth::{Begin, Begun, Finish};
pub use begin_sign_in::begin_sign_in;
pub use finish_sign_in::finish_sign_in;
pub use list_providers::list_providers;
