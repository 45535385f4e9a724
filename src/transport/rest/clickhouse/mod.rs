//! ClickHouse Cloud's contract: email invitations and their organizations.

pub mod error;
mod model;
mod roles;
mod routes;

use uuid::{Uuid, uuid};

pub use routes::routes;

/// The namespace of UUIDs that are derived from names.
const NAMESPACE: Uuid = uuid!("6a3f0c57-5b0e-4d0b-9a55-0f5a0d7c3f1e");
