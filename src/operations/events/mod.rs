//! The feed of events.

mod list_events;

pub use crate::storage::event_data::read as to_message;
pub use list_events::{EventList, ListEvents, list_events};

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
