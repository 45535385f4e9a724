//! `guestlist.v1.EventService/ListEvents`

use std::time::Duration;

use super::feed_reader::{EventList, FeedQuery, FeedReader};
use crate::error::Result;
use crate::operations::{Context, RequestContext, WaitingCall};

#[derive(Debug, Clone)]
pub struct ListEvents {
    pub query: FeedQuery,
    pub limit: u64,
    /// How long the call waits for an event.
    pub wait: Duration,
}

/// Lists events in the feed's order.
pub async fn list_events(
    cx: &Context,
    call: &RequestContext,
    input: ListEvents,
    waiting: &dyn WaitingCall,
) -> Result<EventList> {
    let ListEvents { query, limit, wait } = input;
    let mut reader = FeedReader::open(cx, call, query).await?;
    if wait.is_zero() {
        return reader.read(limit).await;
    }
    let mut follower = cx.store.follow_events();
    let list = reader.read(limit).await?;
    if list.has_more || !list.events.is_empty() {
        return Ok(list);
    }
    waiting.begin_waiting(reader.organization())?;
    let longest = wait.min(cx.rules.longest_wait);
    reader.read_when_changed(limit, longest, &mut follower, waiting).await
}
