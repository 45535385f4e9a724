//! Messages about the feed of events.

use super::{Fields, MAX_TOKEN};
use crate::domain::OrganizationId;
use crate::error::Result;
use crate::operations::events::{self, EventList, ListEvents};
use crate::proto::guestlist::v1 as pb;

pub fn list_events(message: pb::ListEventsRequest) -> Result<ListEvents> {
    let mut fields = Fields::default();
    let organization: Option<OrganizationId> =
        fields.parse_optional("organization_id", &message.organization_id);
    if fields.count("types", &message.types, 25) {
        for (i, kind) in message.types.iter().enumerate() {
            fields.text(format_args!("types[{i}]"), kind, 64);
        }
    }
    fields.text("cursor", &message.cursor, MAX_TOKEN);
    let start = message.start_time.and_then(|at| fields.timestamp("start_time", at));
    let limit = match message.limit {
        0 => 100,
        limit @ 1..=1000 => u64::from(limit.unsigned_abs()),
        _ => {
            fields.wrong("limit", "must be 0 to 1000");
            0
        }
    };
    let pb::ListEventsRequest { types, cursor, .. } = message;
    fields.finish(|| Some(ListEvents { organization, types, cursor, start, limit }))
}

/// # Errors
/// INTERNAL if the data of a stored event is damaged.
pub fn event_list(list: EventList) -> Result<pb::ListEventsResponse> {
    let events: Result<Vec<_>> = list.events.into_iter().map(events::to_message).collect();
    Ok(pb::ListEventsResponse { events: events?, cursor: list.cursor, has_more: list.has_more })
}
