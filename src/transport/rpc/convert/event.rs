//! Messages about the feed of events.

use std::time::Duration;

use super::attributes::{external_id, metadata};
use super::{Fields, MAX_TOKEN, to_timestamp};
use crate::domain::PageSize;
use crate::error::Result;
use crate::operations::events::{EventList, FeedQuery, ListEvents, MemberState, StateList};
use crate::proto::guestlist::v1 as pb;

/// The maximum time that a `ListEvents` call may wait for events.
const MAX_WAIT: Duration = Duration::from_secs(10);

pub fn list_events(message: pb::ListEventsRequest) -> Result<ListEvents> {
    let mut fields = Fields::default();
    let limit = limit(&mut fields, message.limit);
    let wait = message.wait.map_or(Ok(Duration::ZERO), Duration::try_from);
    let wait = wait.ok().filter(|wait| *wait <= MAX_WAIT);
    if wait.is_none() {
        fields.wrong("wait", "must be 0 to 10 seconds");
    }
    let pb::ListEventsRequest { organization_id, types, cursor, start_time, .. } = message;
    let query = query(&mut fields, &organization_id, types, cursor, start_time);
    fields.finish(|| Some(ListEvents { query, limit, wait: wait? }))
}

pub fn watch(message: pb::WatchRequest) -> Result<FeedQuery> {
    let mut fields = Fields::default();
    let pb::WatchRequest { organization_id, types, cursor, start_time } = message;
    let query = query(&mut fields, &organization_id, types, cursor, start_time);
    fields.finish(|| Some(query))
}

/// Returns the page size and the page token.
pub fn list_state(message: pb::ListStateRequest) -> Result<(PageSize, String)> {
    let mut fields = Fields::default();
    let limit = limit(&mut fields, message.limit);
    fields.text("page_token", &message.page_token, MAX_TOKEN);
    fields.finish(|| Some((PageSize::of(limit), message.page_token)))
}

fn limit(fields: &mut Fields, limit: i32) -> u64 {
    match limit {
        0 => 100,
        limit @ 1..=1000 => u64::from(limit.unsigned_abs()),
        _ => {
            fields.wrong("limit", "must be 0 to 1000");
            0
        }
    }
}

fn query(
    fields: &mut Fields,
    organization: &str,
    types: Vec<String>,
    cursor: String,
    start: Option<prost_types::Timestamp>,
) -> FeedQuery {
    let organization = fields.parse_optional("organization_id", organization);
    if fields.count("types", &types, 25) {
        for (i, kind) in types.iter().enumerate() {
            fields.text(format_args!("types[{i}]"), kind, 64);
        }
    }
    fields.text("cursor", &cursor, MAX_TOKEN);
    let start = start.and_then(|at| fields.timestamp("start_time", at));
    FeedQuery { organization, types, cursor, start }
}

pub fn event_list(list: EventList) -> pb::ListEventsResponse {
    let EventList { events, cursor, has_more } = list;
    pb::ListEventsResponse { events, cursor, has_more }
}

pub fn watch_response(list: EventList) -> pb::WatchResponse {
    pb::WatchResponse { events: list.events, cursor: list.cursor }
}

pub fn state_list(list: StateList) -> pb::ListStateResponse {
    let organizations = list.organizations.into_iter().map(|of| pb::OrganizationState {
        organization_id: of.id.to_string(),
        version: of.version,
        members: of.members.into_iter().map(member_state).collect(),
        metadata: metadata(&of.attributes.metadata),
        external_id: external_id(&of.attributes),
    });
    let organizations = organizations.collect();
    pb::ListStateResponse { organizations, next_page_token: list.next_token }
}

fn member_state(member: MemberState) -> pb::MemberState {
    pb::MemberState {
        member_id: member.id.to_string(),
        account_id: member.account.to_string(),
        issuer: member.issuer,
        subject: member.subject,
        role: member.role.to_string(),
        status: member.status.as_str().to_owned(),
        metadata: metadata(&member.attributes.metadata),
        external_id: external_id(&member.attributes),
        expire_time: member.expires_at.map(to_timestamp),
    }
}
