//! API keys, managed from the command line.

mod create_key;
mod list_keys;
mod revoke_key;

pub use create_key::{CreateKey, Owner, ServiceName, create_key};
pub use list_keys::list_keys;
pub use revoke_key::revoke_key;

pub(super) use create_key::{issue, local_profile};
