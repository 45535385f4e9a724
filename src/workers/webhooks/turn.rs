//! One turn of an endpoint: the work of a worker while it holds the claim.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use uuid::Uuid;

use super::WebhookWorker;
use super::batch::{Batch, Handled, Item, Work};
use crate::domain::{
    Action, AuditEvent, Disabling, DisablingReason, MAX_WAITING_DELIVERIES, Timestamp,
};
use crate::error::Result;
use crate::operations::webhooks::{WebhookRef, disable_working, unseal};
use crate::storage::audit_events::{self, EventFilter};
use crate::storage::webhook_turns::{self, Endpoint, Progress};
use crate::storage::{change, event_data, events, webhook_deliveries, webhooks};
use crate::webhooks::{Attempt, Message, Secret, TIMEOUT};
use crate::workers::backoff;
use crate::workers::lease::CLAIM_MARGIN;

/// The longest time of one batch: no request begins after [`BATCH`].
pub(super) const MAX_BATCH: Duration = BATCH.saturating_add(TIMEOUT);
const BATCH: Duration = Duration::from_secs(20);
/// After this time the endpoint is released, so that others have their turn.
const MAX_TURN: Duration = Duration::from_secs(60);

/// The most concurrent requests to one endpoint.
const IN_FLIGHT: usize = 4;
/// The same for an endpoint that accepts nothing: one event that failed before, and one new event.
const IN_FLIGHT_FAILING: usize = 2;
/// The most deliveries in one batch that failed before.
const MAX_DUE: u64 = 32;
/// The most events that are read for one batch.
const MAX_READ: u64 = 100;

/// An endpoint that accepts nothing for this time is disabled.
const DISABLE_AFTER: Duration = Duration::from_secs(5 * 24 * 60 * 60);
/// The divisor for the pause of an endpoint that accepts nothing: the pause is the time since its
/// first failure, divided by this number, between these bounds.
const REST_PART: u32 = 8;
const MIN_REST: Duration = Duration::from_secs(5);
const MAX_REST: Duration = Duration::from_secs(5 * 60);

impl WebhookWorker {
    /// Sends due events to an endpoint, and then releases it.
    pub(super) async fn take_turn(&self, mut endpoint: Endpoint, claimant: Uuid) -> Result<()> {
        let started = Instant::now();
        loop {
            let work = self.read(&endpoint).await?;
            let secrets =
                unseal(&self.keyring, endpoint.webhook.id, &endpoint.secrets, self.clock.now())?;
            let batch = self.send_all(&endpoint, work, &secrets).await?;
            let (cursor, first_failure_at) = (batch.cursor, batch.first_failure_at);
            let more = batch.has_more && started.elapsed() < MAX_TURN;
            let disabling = self.disabling(&batch);
            if !self.store(&endpoint, claimant, batch, more || disabling.is_some()).await? {
                tracing::debug!(webhook = %endpoint.webhook.id, "a webhook was changed while it was sent to; it is repeated");
                return Ok(());
            }
            if let Some(disabling) = disabling {
                return self.disable(&endpoint, claimant, disabling).await;
            }
            if !more {
                return Ok(());
            }
            endpoint.cursor = cursor;
            endpoint.webhook.first_failure_at = first_failure_at;
        }
    }

    /// Reads the events that are due now.
    async fn read(&self, endpoint: &Endpoint) -> Result<Work> {
        let (db, webhook) = (self.store.read(), &endpoint.webhook);
        let is_failing = webhook.first_failure_at.is_some();
        let mut work = Work {
            items: Vec::new(),
            dropped: Vec::new(),
            read_to: endpoint.cursor,
            is_all: true,
            saw_end: false,
        };
        let max_due = if is_failing { 1 } else { MAX_DUE };
        let due = webhook_deliveries::due(db, webhook.id, self.clock.now(), max_due).await?;
        work.is_all &= u64::try_from(due.len()).unwrap_or(u64::MAX) < max_due;
        for delivery in due {
            match events::find(db, delivery.event).await?.filter(|event| !self.is_old(event)) {
                Some(event) => work.items.push(Item { event, waiting: Some(delivery) }),
                None => {
                    tracing::warn!(webhook = %webhook.id, event = %delivery.event, "an event was not accepted by a webhook within events.retention; it is not sent any more");
                    work.dropped.push(delivery.id);
                }
            }
        }
        if webhook_deliveries::count_of(db, webhook.id).await? < MAX_WAITING_DELIVERIES {
            self.read_events(endpoint, is_failing, &mut work).await?;
        }
        Ok(work)
    }

    /// Reads the events after the cursor; adds only one of them if the endpoint accepts nothing.
    async fn read_events(
        &self,
        endpoint: &Endpoint,
        is_failing: bool,
        work: &mut Work,
    ) -> Result<()> {
        let (db, webhook) = (self.store.read(), &endpoint.webhook);
        let newest = events::newest(db).await?.map(|newest| newest.place);
        let Some(newest) = newest.filter(|newest| *newest > endpoint.cursor) else {
            return Ok(());
        };
        let after = Some(endpoint.cursor);
        let rows = events::between(db, webhook.organization, after, newest, MAX_READ).await?;
        let is_full = u64::try_from(rows.len()).unwrap_or(u64::MAX) >= MAX_READ;
        work.is_all &= !is_full;
        work.read_to = rows.last().filter(|_| is_full).map_or(newest, |last| last.place);
        for event in rows {
            work.saw_end |= webhook.organization.is_some()
                && event.action == Action::OrganizationDeleted.as_str();
            if !webhook.takes(&event.action) || self.is_old(&event) {
                continue;
            }
            let place = event.place;
            work.items.push(Item { event, waiting: None });
            if is_failing {
                work.is_all &= place == work.read_to;
                work.read_to = place;
                break;
            }
        }
        Ok(())
    }

    fn is_old(&self, event: &AuditEvent) -> bool {
        event.at.plus(self.event_retention) <= self.clock.now()
    }

    /// Sends in order, a few at a time, until all are sent, the time is over, or the endpoint
    /// accepts nothing or needs a pause.
    async fn send_all(&self, endpoint: &Endpoint, work: Work, secrets: &[Secret]) -> Result<Batch> {
        let started = Instant::now();
        let mut batch = Batch::new(endpoint, &work);
        let parallel = match endpoint.webhook.first_failure_at {
            Some(_) => IN_FLIGHT_FAILING,
            None => IN_FLIGHT,
        };
        let total = work.items.len();
        let mut handled = 0;
        let mut items = work.items.into_iter();
        loop {
            let some: Vec<Item> = items.by_ref().take(parallel).collect();
            if some.is_empty() {
                break;
            }
            let sent = some.into_iter().map(|item| self.send(endpoint, item, secrets));
            let sent = join_all(sent).await.into_iter().collect::<Result<Vec<Handled>>>()?;
            handled += sent.len();
            let is_accepted = batch.add(sent, self.clock.now());
            let must_rest = !is_accepted || batch.is_gone || batch.not_before.is_some();
            if must_rest || started.elapsed() > BATCH {
                break;
            }
        }
        self.count_failures(&batch);
        let is_done = handled == total;
        if is_done {
            batch.cursor = work.read_to.max(batch.cursor);
        }
        batch.saw_end = work.saw_end && is_done;
        batch.is_all = work.is_all && is_done;
        let must_rest = batch.first_failure_at.is_some() || batch.not_before.is_some();
        batch.has_more = !batch.is_all && !batch.is_gone && !must_rest;
        Ok(batch)
    }

    async fn send(&self, endpoint: &Endpoint, item: Item, secrets: &[Secret]) -> Result<Handled> {
        let message = Message::new(&event_data::read(item.event.clone())?, item.event.trace)?;
        let (url, now) = (&endpoint.webhook.url, self.clock.now());
        let attempt = self.sender.send(url, &message, secrets, now, TIMEOUT).await;
        if !attempt.is_accepted() {
            let Attempt { status, reason, .. } = &attempt;
            tracing::debug!(webhook = %endpoint.webhook.id, event = %item.event.id, ?status, %reason, "a webhook did not accept an event");
        }
        Ok(Handled { item, attempt })
    }

    /// The reason to disable the endpoint now; `None` if there is none.
    fn disabling(&self, batch: &Batch) -> Option<Disabling> {
        let now = self.clock.now();
        let reason = if batch.is_gone {
            DisablingReason::Gone
        } else if batch.first_failure_at.is_some_and(|since| since.plus(DISABLE_AFTER) <= now) {
            DisablingReason::Failing
        } else {
            return None;
        };
        Some(Disabling { at: now, reason })
    }

    async fn disable(&self, endpoint: &Endpoint, claimant: Uuid, why: Disabling) -> Result<()> {
        let webhook = &endpoint.webhook;
        tracing::warn!(webhook = %webhook.id, reason = why.reason.as_str(), "a webhook is disabled");
        let of = WebhookRef { organization: webhook.organization, id: webhook.id };
        disable_working(&self.store, of, claimant, why).await
    }

    /// Stores a batch in one transaction, and releases the endpoint unless it is `kept`. Returns
    /// whether the worker still held the claim.
    async fn store(
        &self,
        endpoint: &Endpoint,
        claimant: Uuid,
        batch: Batch,
        kept: bool,
    ) -> Result<bool> {
        let now = self.clock.now();
        let id = endpoint.webhook.id;
        let progress = Progress {
            cursor: batch.cursor,
            first_failure_at: batch.first_failure_at,
            lease_ends: now.plus(MAX_BATCH).plus(CLAIM_MARGIN),
        };
        let is_at_end = !kept && batch.is_all && self.is_at_end(endpoint, &batch).await?;
        let not_before = not_before(&batch, now);
        self.store
            .write(change!(async move |tx| {
                if !webhook_turns::advance(tx, id, claimant, &progress).await? {
                    return Ok(false);
                }
                webhook_deliveries::finish(tx, &batch.finished).await?;
                for (delivery, failed) in &batch.failed_again {
                    webhook_deliveries::fail(tx, *delivery, failed).await?;
                }
                webhook_deliveries::insert(tx, id, batch.failed.clone(), now).await?;
                if kept {
                    return Ok(true);
                }
                let next = webhook_deliveries::next_due(tx, id).await?;
                if is_at_end && next.is_none() {
                    webhooks::delete(tx, id).await?;
                    return Ok(true);
                }
                let next = if batch.is_all { next } else { Some(now) };
                let next = next.map(|next| next.max(not_before));
                webhook_turns::release(tx, id, claimant, next).await?;
                Ok(true)
            }))
            .await
    }

    /// Whether the cursor has passed the last event of a deleted organization.
    async fn is_at_end(&self, endpoint: &Endpoint, batch: &Batch) -> Result<bool> {
        if batch.saw_end || !endpoint.organization_deleted {
            return Ok(batch.saw_end);
        }
        let of = endpoint.webhook.organization;
        let (db, filter) = (self.store.read(), EventFilter::default());
        let last = audit_events::page(db, of, &filter, None, 1).await?;
        let passed = |last: &AuditEvent| {
            last.action == Action::OrganizationDeleted.as_str() && last.place <= batch.cursor
        };
        // If there is no row, the last event was deleted after its retention time.
        Ok(last.first().is_none_or(passed))
    }
}

/// The earliest time of the next turn.
fn not_before(batch: &Batch, now: Timestamp) -> Timestamp {
    let requested = batch.not_before.unwrap_or(now);
    let Some(since) = batch.first_failure_at else { return requested };
    let micros = u64::try_from(now.as_micros() - since.as_micros()).unwrap_or(0);
    let rest = (Duration::from_micros(micros) / REST_PART).clamp(MIN_REST, MAX_REST);
    let rest = backoff::listed(&[rest], 0);
    now.plus(rest).max(requested)
}
