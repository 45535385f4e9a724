//! `guestlist.v1.EventService/ListEvents`

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{AuditEvent, FeedPlace, KeyScope, OrganizationId, Permission, Timestamp};
use crate::error::{Error, Result, reason};
use crate::operations::access::Access;
use crate::operations::cursor::Pagination;
use crate::operations::encoding::Encoding;
use crate::operations::{Context, RequestContext};
use crate::storage::events;

/// The most events that one request looks at.
const MAX_LOOKED_AT: u64 = 10_000;

/// The most events that are read at once.
const MAX_READ: u64 = 1_000;

/// A start by time begins so much earlier: the clocks of servers differ.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub struct ListEvents {
    /// `None`: all events.
    pub organization: Option<OrganizationId>,
    /// One of these types; empty means all.
    pub types: Vec<String>,
    /// Empty: from `start`, or from now.
    pub cursor: String,
    pub start: Option<Timestamp>,
    pub limit: u64,
}

#[derive(Debug, Clone)]
pub struct EventList {
    /// In the feed's order.
    pub events: Vec<AuditEvent>,
    pub cursor: String,
    pub has_more: bool,
}

/// The content of a cursor. It is at a committed event, not at a point between transactions,
/// which PostgreSQL may move back after a crash.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cursor {
    /// Everything up to this event has been looked at; `None`: there was no event.
    event: Option<(Uuid, FeedPlace)>,
    /// The time of the event, or of the request if there was none.
    at: i64,
}

/// Lists events in the feed's order.
pub async fn list_events(
    cx: &Context,
    call: &RequestContext,
    mut input: ListEvents,
) -> Result<EventList> {
    input.organization = input.organization.or_else(|| call.caller.bound_to());
    authorize(cx, call, input.organization).await?;
    let reader = Reader {
        cx,
        now: cx.now(),
        pagination: Pagination::new(encode_list(&input), call.caller.account.id, "cursor"),
        input: &input,
    };
    let _permit = cx.limits.list(input.organization).await?;
    // Read before the events: all of them up to it are settled.
    let newest = events::newest(cx.store.read()).await?;
    let given: Option<Cursor> = reader.pagination.cursor(&cx.keyring, &input.cursor)?;
    let from = match given {
        Some(cursor) => {
            reader.check_history(&cursor, newest.as_ref()).await?;
            cursor
        }
        None => reader.start(newest.as_ref()).await?,
    };
    reader.read(from, newest.as_ref()).await
}

/// # Errors
/// PERMISSION_DENIED or NOT_FOUND if the caller may not read these events.
async fn authorize(
    cx: &Context,
    call: &RequestContext,
    organization: Option<OrganizationId>,
) -> Result<()> {
    let caller = &call.caller;
    let reads_all = caller.scope() == Some(KeyScope::Events);
    match organization {
        Some(id) if reads_all && caller.reaches(id) => Ok(()),
        Some(id) => {
            let permission = Permission::ReadAudit;
            Access::to_read(cx.store.read(), caller, id, permission).await.map(drop)
        }
        None if reads_all => Ok(()),
        None => Err(Error::permission_denied(
            "only a key of scope events may list the events of all organizations",
        )),
    }
}

/// A request in progress.
struct Reader<'a> {
    cx: &'a Context,
    now: Timestamp,
    pagination: Pagination,
    input: &'a ListEvents,
}

impl Reader<'_> {
    /// The cursor of a request without one.
    async fn start(&self, newest: Option<&AuditEvent>) -> Result<Cursor> {
        let Some(start) = self.input.start else { return Ok(self.at(newest)) };
        // Not at the edge of the retention: the first events would be refused.
        let earliest = self.now.minus(self.cx.rules.event_retention).plus(2 * CLOCK_SKEW);
        let start = start.max(earliest).minus(CLOCK_SKEW);
        let first = events::first_since(self.cx.store.read(), start).await?;
        let (Some(first), Some(newest)) = (first, newest) else { return Ok(self.at(newest)) };
        if newest.place < first.place {
            return Ok(self.at(Some(newest)));
        }
        let before = events::before(self.cx.store.read(), first.place).await?;
        Ok(before.map_or(Cursor { event: None, at: start.as_micros() }, |it| self.at(Some(&it))))
    }

    /// The cursor behind an event; without one, at the beginning of the feed.
    fn at(&self, event: Option<&AuditEvent>) -> Cursor {
        match event {
            Some(event) => {
                Cursor { event: Some((event.id.into(), event.place)), at: event.at.as_micros() }
            }
            None => Cursor { event: None, at: self.now.as_micros() },
        }
    }

    /// # Errors
    /// FAILED_PRECONDITION if the event of the cursor is missing.
    async fn check_history(&self, cursor: &Cursor, newest: Option<&AuditEvent>) -> Result<()> {
        let Some((id, place)) = cursor.event else { return Ok(()) };
        if newest.is_some_and(|newest| newest.id == id.into() && newest.place == place) {
            return Ok(());
        }
        let found = events::find(self.cx.store.read(), id.into()).await?;
        if found.is_some_and(|found| found.place == place) {
            return Ok(());
        }
        if self.is_old(Timestamp::from_micros(cursor.at)) {
            return Err(self.expired(newest)?);
        }
        let what = "the event of this cursor is missing: the history has been replaced, and \
                    events may be lost; list the present state and go on with the cursor in the \
                    details";
        let error = Error::precondition(reason::HISTORY_CHANGED, what);
        Err(error.with_cursor(self.token(&self.at(newest))?))
    }

    /// Reads events behind `from` and up to `newest`.
    async fn read(&self, from: Cursor, newest: Option<&AuditEvent>) -> Result<EventList> {
        let place_of = |cursor: &Cursor| cursor.event.map(|(_, place)| place);
        let mut cursor = from;
        let mut found = Vec::new();
        let mut looked_at = 0;
        let Some(newest) = newest.filter(|newest| place_of(&cursor) < Some(newest.place)) else {
            return self.list(found, &cursor, false);
        };
        let limit = usize::try_from(self.input.limit).unwrap_or(usize::MAX);
        let size = if self.input.types.is_empty() { self.input.limit } else { MAX_READ };
        while looked_at < MAX_LOOKED_AT {
            let organization = self.input.organization;
            let after = place_of(&cursor);
            let db = self.cx.store.read();
            let rows = events::between(db, organization, after, newest.place, size).await?;
            let is_last = u64::try_from(rows.len()).unwrap_or(u64::MAX) < size;
            looked_at += size;
            for row in rows {
                if self.is_old(row.at) {
                    return Err(self.expired(Some(newest))?);
                }
                cursor = self.at(Some(&row));
                if self.input.types.is_empty() || self.input.types.contains(&row.action) {
                    found.push(row);
                }
                if found.len() == limit {
                    let has_more = place_of(&cursor) < Some(newest.place);
                    return self.list(found, &cursor, has_more);
                }
            }
            if is_last {
                // Also where the organization's last event is older: it need not be kept for
                // the cursor then.
                return self.list(found, &self.at(Some(newest)), false);
            }
        }
        self.list(found, &cursor, true)
    }

    fn list(&self, events: Vec<AuditEvent>, cursor: &Cursor, has_more: bool) -> Result<EventList> {
        Ok(EventList { events, cursor: self.token(cursor)?, has_more })
    }

    fn token(&self, cursor: &Cursor) -> Result<String> {
        self.pagination.token(&self.cx.keyring, cursor)
    }

    fn is_old(&self, at: Timestamp) -> bool {
        at.plus(self.cx.rules.event_retention) <= self.now
    }

    fn expired(&self, newest: Option<&AuditEvent>) -> Result<Error> {
        let what = "events behind this cursor are older than the retention: list the present \
                    state and go on with the cursor in the details";
        let error = Error::precondition(reason::CURSOR_EXPIRED, what);
        Ok(error.with_cursor(self.token(&self.at(newest))?))
    }
}

fn encode_list(input: &ListEvents) -> Encoding {
    Encoding::new("ListEvents")
        .option(input.organization, Encoding::id)
        .list(&input.types, |encoding, kind| encoding.text(kind))
}
