//! Reads the feed of events after a cursor, for calls that list events and calls that follow the
//! feed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::described::describe;
use crate::domain::{
    AuditEvent, Caller, FeedPlace, KeyScope, OrganizationId, Permission, Timestamp,
};
use crate::error::{Error, Result, reason};
use crate::operations::access::Access;
use crate::operations::cursor::Pagination;
use crate::operations::encoding::Encoding;
use crate::operations::{Context, RequestContext, WaitingCall};
use crate::proto::guestlist::v1 as pb;
use crate::storage::{EventFollower, events};

/// The most events that one request reads from the store.
const MAX_LOOKED_AT: u64 = 10_000;

/// The most events that one statement reads if types are filtered.
const MAX_READ: u64 = 1_000;

/// A request with a start time begins this much earlier: the clocks of servers differ.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// How often a waiting call checks whether its caller still has the right to read.
const AUTHORITY_INTERVAL: Duration = Duration::from_secs(1);

/// Which events to read, and from where.
#[derive(Debug, Clone)]
pub struct FeedQuery {
    /// `None`: all events.
    pub organization: Option<OrganizationId>,
    /// One of these types; empty means all.
    pub types: Vec<String>,
    /// Empty: from `start`; without `start`, from now.
    pub cursor: String,
    pub start: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub struct EventList {
    /// In the feed's order.
    pub events: Vec<pb::Event>,
    pub cursor: String,
    pub has_more: bool,
}

/// The content of a cursor. It names a committed event, not a position between transactions:
/// PostgreSQL may move such a position back after a crash.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cursor {
    /// The last event that was read or passed over; `None`: the beginning of the feed.
    event: Option<(Uuid, FeedPlace)>,
    /// The time of the event; without one, that of the request or its start.
    at: i64,
}

impl Cursor {
    fn place(&self) -> Option<FeedPlace> {
        self.event.map(|(_, place)| place)
    }
}

/// A reader of the feed. Its cursor is after the events that it has returned.
pub(super) struct FeedReader {
    cx: Context,
    organization: Option<OrganizationId>,
    types: Vec<String>,
    pagination: Pagination,
    cursor: Cursor,
}

impl FeedReader {
    /// # Errors
    /// PERMISSION_DENIED or NOT_FOUND if the caller may not read these events; INVALID_ARGUMENT if
    /// the cursor belongs to another caller or query.
    pub async fn open(cx: &Context, call: &RequestContext, query: FeedQuery) -> Result<Self> {
        let FeedQuery { organization, types, cursor, start } = query;
        let organization = organization.or_else(|| call.caller.bound_to());
        authorize(cx, &call.caller, organization).await?;
        let encoding = Encoding::new("ListEvents")
            .option(organization, Encoding::id)
            .list(&types, |encoding, kind| encoding.text(kind));
        let pagination = Pagination::new(encoding, call.caller.account.id, "cursor");
        let cursor = match pagination.cursor(&cx.keyring, &cursor)? {
            Some(cursor) => cursor,
            None => first_cursor(cx, start).await?,
        };
        Ok(Self { cx: cx.clone(), organization, types, pagination, cursor })
    }

    /// The only organization whose events it reads.
    pub fn organization(&self) -> Option<OrganizationId> {
        self.organization
    }

    /// Reads at most `limit` events.
    ///
    /// # Errors
    /// FAILED_PRECONDITION if events after the cursor may be missing; RESOURCE_EXHAUSTED if too
    /// many lists of the organization run.
    pub async fn read(&mut self, limit: u64) -> Result<EventList> {
        let _permit = self.cx.limits.list(self.organization).await?;
        // Read before the other events: all events up to this one are committed.
        let newest = events::newest(self.cx.store.read()).await?;
        self.check_history(newest.as_ref()).await?;
        let (found, has_more) = match newest {
            Some(newest) if self.cursor.place() < Some(newest.place) => {
                self.read_until(&newest, limit).await?
            }
            _ => (Vec::new(), false),
        };
        let events = describe(self.cx.store.read(), &found).await?;
        let is_cut = events.len() < found.len();
        if let Some(last) = events.len().checked_sub(1).filter(|_| is_cut) {
            self.cursor = cursor_at(Some(&found[last]), found[last].at);
        }
        let cursor = self.pagination.token(&self.cx.keyring, &self.cursor)?;
        Ok(EventList { events, cursor, has_more: has_more || is_cut })
    }

    /// As `read`, but waits until there is an event, for at most `longest`. `follower` must have
    /// been created before the last read.
    ///
    /// # Errors
    /// As `read`; UNAUTHENTICATED, PERMISSION_DENIED or NOT_FOUND if the caller loses its right to
    /// read.
    pub async fn read_when_changed(
        &mut self,
        limit: u64,
        longest: Duration,
        follower: &mut EventFollower,
        waiting: &dyn WaitingCall,
    ) -> Result<EventList> {
        let end = Instant::now() + longest;
        loop {
            let check = Instant::now() + AUTHORITY_INTERVAL;
            let (has_changed, ends) = tokio::select! {
                () = follower.changed(self.organization) => (true, false),
                () = waiting.ending() => (false, true),
                () = sleep_until(check.min(end)) => (false, end <= check),
            };
            let caller = waiting.authenticate_again().await?;
            authorize(&self.cx, &caller, self.organization).await?;
            if has_changed || ends {
                let list = self.read(limit).await?;
                if ends || list.has_more || !list.events.is_empty() {
                    return Ok(list);
                }
            }
        }
    }

    /// # Errors
    /// FAILED_PRECONDITION if the event of the cursor is missing.
    async fn check_history(&self, newest: Option<&AuditEvent>) -> Result<()> {
        let Some((id, place)) = self.cursor.event else { return Ok(()) };
        let is_it = |event: &AuditEvent| event.id == id.into() && event.place == place;
        if newest.is_some_and(is_it) {
            return Ok(());
        }
        let found = events::find(self.cx.store.read(), id.into()).await?;
        if found.as_ref().is_some_and(is_it) {
            return Ok(());
        }
        if self.is_old(Timestamp::from_micros(self.cursor.at)) {
            return Err(self.expired(newest)?);
        }
        let what = "the event of this cursor is missing: the history has been replaced, and \
                    events may be lost; list the present state and go on with the cursor in the \
                    details";
        let error = Error::precondition(reason::HISTORY_CHANGED, what);
        Err(error.with_cursor(self.token_at(newest)?))
    }

    /// Reads events up to `newest`. Returns them, and whether there may be more.
    async fn read_until(
        &mut self,
        newest: &AuditEvent,
        limit: u64,
    ) -> Result<(Vec<AuditEvent>, bool)> {
        let mut found = Vec::new();
        let mut looked_at = 0;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let size = if self.types.is_empty() { limit } else { MAX_READ };
        while looked_at < MAX_LOOKED_AT {
            let (db, after) = (self.cx.store.read(), self.cursor.place());
            let rows = events::between(db, self.organization, after, newest.place, size).await?;
            let is_last = u64::try_from(rows.len()).unwrap_or(u64::MAX) < size;
            looked_at += size;
            for row in rows {
                if self.is_old(row.at) {
                    return Err(self.expired(Some(newest))?);
                }
                self.cursor = cursor_at(Some(&row), row.at);
                if self.types.is_empty() || self.types.contains(&row.action) {
                    found.push(row);
                }
                if found.len() == most {
                    return Ok((found, self.cursor.place() < Some(newest.place)));
                }
            }
            if is_last {
                // The cursor moves to the newest event of the whole feed, even if the
                // organization's last event is older: so that one need not be kept for the cursor.
                self.cursor = cursor_at(Some(newest), newest.at);
                return Ok((found, false));
            }
        }
        Ok((found, true))
    }

    fn is_old(&self, at: Timestamp) -> bool {
        at.plus(self.cx.rules.event_retention) <= self.cx.now()
    }

    fn expired(&self, newest: Option<&AuditEvent>) -> Result<Error> {
        let what = "events behind this cursor are older than the retention: list the present \
                    state and go on with the cursor in the details";
        let error = Error::precondition(reason::CURSOR_EXPIRED, what);
        Ok(error.with_cursor(self.token_at(newest)?))
    }

    fn token_at(&self, newest: Option<&AuditEvent>) -> Result<String> {
        self.pagination.token(&self.cx.keyring, &cursor_at(newest, self.cx.now()))
    }
}

/// # Errors
/// PERMISSION_DENIED or NOT_FOUND if the caller may not read these events.
async fn authorize(
    cx: &Context,
    caller: &Caller,
    organization: Option<OrganizationId>,
) -> Result<()> {
    let reads_all = caller.scope() == Some(KeyScope::Events);
    match organization {
        Some(id) if reads_all && caller.reaches(id) => Ok(()),
        Some(id) => {
            let permission = Permission::ReadAudit;
            Access::to_read(cx.store.read(), caller, id, permission, cx.now()).await.map(drop)
        }
        None if reads_all => Ok(()),
        None => Err(Error::permission_denied(
            "only a key of scope events may read the events of all organizations",
        )),
    }
}

/// The cursor for a request without one: before the events since `start`; without `start`, after
/// all events.
async fn first_cursor(cx: &Context, start: Option<Timestamp>) -> Result<Cursor> {
    let (db, now) = (cx.store.read(), cx.now());
    let newest = events::newest(db).await?;
    let behind_all = cursor_at(newest.as_ref(), now);
    let Some(start) = start else { return Ok(behind_all) };
    // Later than the oldest retained moment: otherwise the first events would be rejected as too
    // old.
    let earliest = now.minus(cx.rules.event_retention).plus(2 * CLOCK_SKEW);
    let start = start.max(earliest).minus(CLOCK_SKEW);
    let first = events::first_since(db, start).await?;
    let (Some(first), Some(newest)) = (first, newest) else { return Ok(behind_all) };
    if newest.place < first.place {
        return Ok(behind_all);
    }
    Ok(cursor_at(events::before(db, first.place).await?.as_ref(), start))
}

/// The cursor after an event; without one, at the beginning of the feed, with the time `now`.
fn cursor_at(event: Option<&AuditEvent>, now: Timestamp) -> Cursor {
    Cursor {
        event: event.map(|event| (event.id.into(), event.place)),
        at: event.map_or(now, |event| event.at).as_micros(),
    }
}
