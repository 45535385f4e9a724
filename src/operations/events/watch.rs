//! `guestlist.v1.EventService/Watch`

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;

use super::feed_reader::{EventList, FeedQuery, FeedReader};
use crate::error::Result;
use crate::operations::{Context, RequestContext, WaitingCall};
use crate::storage::EventFollower;

/// The most events in one message.
const MAX_EVENTS: u64 = 100;

/// The longest time between two messages.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// A stream of events that continues until the caller loses its right to read, or the server or the
/// connection ends.
struct EventStream {
    reader: FeedReader,
    follower: EventFollower,
    waiting: Arc<dyn WaitingCall>,
    progress: Progress,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The next message does not wait: it is the first, or there are more events.
    HasMore,
    Waits,
    Ended,
}

/// Follows the feed. The first message is sent at once.
///
/// # Errors
/// As `ListEvents`; RESOURCE_EXHAUSTED if too many calls wait. The stream can end with the same
/// errors.
pub async fn watch(
    cx: &Context,
    call: &RequestContext,
    query: FeedQuery,
    waiting: Arc<dyn WaitingCall>,
) -> Result<impl Stream<Item = Result<EventList>> + Send + use<>> {
    let reader = FeedReader::open(cx, call, query).await?;
    waiting.begin_waiting(reader.organization())?;
    let follower = cx.store.follow_events();
    let stream = EventStream { reader, follower, waiting, progress: Progress::HasMore };
    Ok(unfold(stream, async |mut stream| {
        let message = stream.next().await?;
        Some((message, stream))
    }))
}

impl EventStream {
    async fn next(&mut self) -> Option<Result<EventList>> {
        let Self { reader, follower, waiting, progress } = self;
        let list = match progress {
            Progress::Ended => return None,
            Progress::HasMore => reader.read(MAX_EVENTS).await,
            Progress::Waits => {
                reader.read_when_changed(MAX_EVENTS, HEARTBEAT, follower, &**waiting).await
            }
        };
        *progress = match &list {
            Ok(list) if list.has_more => Progress::HasMore,
            Ok(_) if !waiting.is_ending() => Progress::Waits,
            Ok(_) | Err(_) => Progress::Ended,
        };
        Some(list)
    }
}
