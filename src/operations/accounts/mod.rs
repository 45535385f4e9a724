//! Accounts.

mod erase;
mod get_caller;
mod resolve_account;

pub use crate::auth::Identity;
pub use erase::{Erased, erase};
pub use get_caller::get_caller;
pub use resolve_account::resolve_account;
