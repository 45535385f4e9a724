//! Access to content, as links have granted it.

mod list_grants;

pub use list_grants::{GrantList, ListGrants, list_grants};
