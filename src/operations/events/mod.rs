//! The feed of events.

mod described;
mod feed_reader;
mod list_events;
mod list_state;
mod watch;

pub use feed_reader::{EventList, FeedQuery};
pub use list_events::{ListEvents, list_events};
pub use list_state::{OrganizationState, StateList, list_state};
pub use watch::watch;

pub use crate::storage::event_data::to_timestamp;
pub use crate::storage::state::MemberState;

use crate::domain::Timestamp;
use crate::error::Result;
use crate::storage::{Store, change, events};

/// The most events that one transaction deletes. Other changes wait for the transaction, so
/// it must be short.
const MAX_DELETED: u64 = 500;

/// Deletes some of the events that are older than `before`; returns how many. The newest
/// event stays.
///
/// # Errors
/// If the store cannot be written.
pub async fn delete_old_events(store: &Store, before: Timestamp) -> Result<u64> {
    store.write(change!(async move |tx| events::prune(tx, before, MAX_DELETED).await)).await
}
