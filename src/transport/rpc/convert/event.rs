//! Messages about the feed of events.

use prost::Message;

use super::{Fields, MAX_TOKEN, to_timestamp};
use crate::domain::{AuditEvent, OrganizationId};
use crate::error::{Error, Result};
use crate::operations::events::{EventList, ListEvents};
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
    let events: Result<Vec<_>> = list.events.into_iter().map(event).collect();
    Ok(pb::ListEventsResponse { events: events?, cursor: list.cursor, has_more: list.has_more })
}

fn event(event: AuditEvent) -> Result<pb::Event> {
    let text = |id: Option<crate::domain::AccountId>| id.map(|id| id.to_string());
    let stored = pb::Event::decode(event.data.as_slice()).map_err(Error::internal)?;
    Ok(pb::Event {
        id: event.id.to_string(),
        r#type: event.action,
        time: Some(to_timestamp(event.at)),
        organization_id: event.organization.map(|id| id.to_string()).unwrap_or_default(),
        organization_version: event.organization_version,
        actor_account_id: text(event.actor).unwrap_or_default(),
        on_behalf_of_account_id: text(event.on_behalf_of).unwrap_or_default(),
        request_id: event.request_id,
        data: stored.data,
    })
}
