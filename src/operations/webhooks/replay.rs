//! `guestlist.v1.WebhookService/Replay`

use std::time::Duration;

use super::owner::{Owner, WebhookRef, to_read, write};
use crate::domain::{
    AuditEvent, AuditEventId, FeedPlace, MAX_WAITING_DELIVERIES, Timestamp, Webhook,
};
use crate::error::{Error, Result, reason};
use crate::operations::cursor::Pagination;
use crate::operations::encoding::Encoding;
use crate::operations::{Context, RequestContext};
use crate::storage::change;
use crate::storage::webhook_deliveries::{self, NewDelivery};
use crate::storage::{events, webhooks};

/// The most events that one request sends again.
const MAX_EVENTS: usize = 1000;
/// The most events that one request reads from the store.
const MAX_LOOKED_AT: usize = 10_000;
const MAX_READ: u64 = 1000;
/// The feed is not exactly in the order of times, because the clocks of servers differ.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub struct Replay {
    pub of: WebhookRef,
    pub what: Span,
    /// The token of the previous response; empty for the beginning of the span.
    pub token: String,
}

/// Which events to send once more.
#[derive(Debug, Clone, Copy)]
pub enum Span {
    One(AuditEventId),
    /// From the first moment (inclusive) to the second one (exclusive).
    Between(Timestamp, Timestamp),
}

#[derive(Debug, Clone)]
pub struct Replayed {
    pub events: usize,
    /// Empty at the end of the span.
    pub next_token: String,
}

/// Sends events to an endpoint once more. Needs an admin of its organization; for an endpoint of
/// the deployment, an operator.
pub async fn replay(cx: &Context, call: &RequestContext, input: Replay) -> Result<Replayed> {
    let Replay { of, what, token } = input;
    to_read(cx, call, of.organization).await?;
    let found = webhooks::find(cx.store.read(), of.organization, of.id).await?;
    let webhook = found.ok_or_else(Error::not_found)?;
    let _permit = cx.limits.list(of.organization).await?;
    let (chosen, next_token) = match what {
        Span::One(id) => (vec![one(cx, &webhook, id).await?], String::new()),
        Span::Between(start, end) => {
            let list = Encoding::new("Replay").id(webhook.id).time(start).time(end);
            let pagination = Pagination::new(list, call.caller.account.id, "page_token");
            let after: Option<FeedPlace> = pagination.cursor(&cx.keyring, &token)?;
            let (chosen, next) = choose(cx, &webhook, (start, end), after).await?;
            let next_token = match next {
                Some(place) => pagination.token(&cx.keyring, &place)?,
                None => String::new(),
            };
            (chosen, next_token)
        }
    };
    let events = chosen.len();
    if events > 0 {
        enqueue(cx, call, of, chosen).await?;
        cx.webhook_wakeup.notify_one();
    }
    Ok(Replayed { events, next_token })
}

/// The event with this id, if the endpoint may get it.
async fn one(cx: &Context, webhook: &Webhook, id: AuditEventId) -> Result<AuditEvent> {
    let found = events::find(cx.store.read(), id).await?.ok_or_else(Error::not_found)?;
    let is_its = webhook.organization.is_none() || found.organization == webhook.organization;
    if !is_its || found.at.plus(cx.rules.event_retention) <= cx.now() {
        return Err(Error::not_found());
    }
    Ok(found)
}

/// The next events of a span, and the place to continue after; `None` at the end of the span.
async fn choose(
    cx: &Context,
    webhook: &Webhook,
    (start, end): (Timestamp, Timestamp),
    after: Option<FeedPlace>,
) -> Result<(Vec<AuditEvent>, Option<FeedPlace>)> {
    let db = cx.store.read();
    let start = start.max(cx.now().minus(cx.rules.event_retention));
    let Some(newest) = events::newest(db).await? else { return Ok((Vec::new(), None)) };
    let mut place = match after {
        Some(place) => Some(place),
        None => match events::first_since(db, start.minus(CLOCK_SKEW)).await? {
            Some(first) => events::before(db, first.place).await?.map(|event| event.place),
            None => return Ok((Vec::new(), None)),
        },
    };
    let (mut chosen, mut looked_at) = (Vec::new(), 0);
    while looked_at < MAX_LOOKED_AT {
        let rows = events::between(db, webhook.organization, place, newest.place, MAX_READ).await?;
        let is_last = u64::try_from(rows.len()).unwrap_or(u64::MAX) < MAX_READ;
        looked_at += rows.len();
        for row in rows {
            if row.at > end.plus(CLOCK_SKEW) {
                return Ok((chosen, None));
            }
            place = Some(row.place);
            if start <= row.at && row.at < end && webhook.takes(&row.action) {
                chosen.push(row);
            }
            if chosen.len() == MAX_EVENTS {
                return Ok((chosen, place));
            }
        }
        if is_last {
            return Ok((chosen, None));
        }
    }
    Ok((chosen, place))
}

async fn enqueue(
    cx: &Context,
    call: &RequestContext,
    of: WebhookRef,
    chosen: Vec<AuditEvent>,
) -> Result<()> {
    let now = cx.now();
    let new = chosen.into_iter().map(|event| NewDelivery {
        event: event.id,
        event_type: event.action,
        failed: None,
    });
    let new: Vec<NewDelivery> = new.collect();
    let call = call.clone();
    let enqueued = change!(async move |tx| {
        let (_, webhook, _) = Owner::and_webhook(tx, &call, of, now).await?;
        if webhook.disabled.is_some() {
            let what = "the webhook is disabled; enable it first";
            return Err(Error::precondition(reason::WEBHOOK_DISABLED, what));
        }
        let most = MAX_WAITING_DELIVERIES;
        if webhook_deliveries::count_of(tx, webhook.id).await? >= most {
            let what = format!("{most} events wait for the webhook already; try again later");
            return Err(Error::precondition(reason::WEBHOOK_BACKLOG, what));
        }
        webhook_deliveries::insert(tx, webhook.id, new.clone(), now).await?;
        webhooks::wake(tx, &[webhook.id], now).await.map(drop)
    });
    write(cx, of.organization, enqueued).await
}
