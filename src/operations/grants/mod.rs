//! Access to content, granted by links.

mod list_grants;

pub use list_grants::{GrantList, ListGrants, list_grants};
