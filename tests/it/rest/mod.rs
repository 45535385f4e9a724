//! Other products' REST contracts, as their clients see them.

mod bounds;
mod clickhouse;
mod clickhouse_requests;
mod clickhouse_roles;
pub mod client;
mod gitbook;
mod gitbook_invites;
mod gitbook_link_changes;
mod gitbook_links;
pub mod matrix;
mod openapi;
mod route_guard;
mod secrecy;

use std::time::Duration;

use crate::support::{Person, own};

/// Waits until the mail of an invitation is no longer pending, so that the database stays the same.
async fn delivered(admin: &Person, organization: &str, id: &str) {
    while admin.invite_by_id(organization, id).await.unwrap().delivery() == own::Delivery::Pending {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
