//! The events that are sent to an endpoint in one batch, and their results.

use std::time::Duration;

use crate::domain::{AuditEvent, FeedPlace, Timestamp, WebhookDelivery, WebhookDeliveryId};
use crate::storage::webhook_deliveries::{FailedAttempt, NewDelivery};
use crate::storage::webhook_turns::Endpoint;
use crate::webhooks::Attempt;
use crate::workers::backoff;

/// The pauses after failed attempts to send an event.
const PAUSES: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * HOUR),
    Duration::from_secs(5 * HOUR),
    Duration::from_secs(10 * HOUR),
    Duration::from_secs(14 * HOUR),
    Duration::from_secs(20 * HOUR),
    Duration::from_secs(24 * HOUR),
];
const HOUR: u64 = 60 * 60;

/// The longest pause that an endpoint may request.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * HOUR);

/// An event to send.
#[derive(Debug)]
pub(super) struct Item {
    pub event: AuditEvent,
    /// Its row, if it has one.
    pub waiting: Option<WebhookDelivery>,
}

/// The events that are due: first those that failed before, then those after the cursor.
#[derive(Debug)]
pub(super) struct Work {
    pub items: Vec<Item>,
    /// Rows that cannot be delivered any more, because their events are deleted or too old.
    pub dropped: Vec<WebhookDeliveryId>,
    /// The cursor when all items are handled.
    pub read_to: FeedPlace,
    /// Whether nothing else is due.
    pub is_all: bool,
    /// Whether the last event of the organization has been read.
    pub saw_end: bool,
}

/// An event that was sent.
#[derive(Debug)]
pub(super) struct Handled {
    pub item: Item,
    pub attempt: Attempt,
}

/// The results of a part of the work.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub cursor: FeedPlace,
    /// Since this time the endpoint has accepted nothing.
    pub first_failure_at: Option<Timestamp>,
    /// The end of the pause that the endpoint has requested.
    pub not_before: Option<Timestamp>,
    /// Whether the endpoint wants no more events.
    pub is_gone: bool,
    /// Rows that are no longer needed.
    pub finished: Vec<WebhookDeliveryId>,
    pub failed_again: Vec<(WebhookDeliveryId, FailedAttempt)>,
    pub failed: Vec<NewDelivery>,
    /// Whether all due events are handled.
    pub is_all: bool,
    /// Whether the last event of the organization is handled.
    pub saw_end: bool,
    /// Whether the turn may continue.
    pub has_more: bool,
}

impl Batch {
    pub fn new(endpoint: &Endpoint, work: &Work) -> Self {
        Self {
            cursor: endpoint.cursor,
            first_failure_at: endpoint.webhook.first_failure_at,
            not_before: None,
            is_gone: false,
            finished: work.dropped.clone(),
            failed_again: Vec::new(),
            failed: Vec::new(),
            is_all: false,
            saw_end: false,
            has_more: false,
        }
    }

    /// Adds the results of events that were sent at the same time; returns whether any was
    /// accepted.
    pub fn add(&mut self, sent: Vec<Handled>, now: Timestamp) -> bool {
        let is_accepted = sent.iter().any(|one| one.attempt.is_accepted());
        for Handled { item, attempt } in sent {
            self.is_gone |= attempt.is_gone();
            let retry_after = attempt.retry_after.map(|pause| pause.min(MAX_RETRY_AFTER));
            if let Some(pause) = retry_after {
                self.not_before = self.not_before.max(Some(now.plus(pause)));
            }
            let attempts = item.waiting.as_ref().map_or(0, |waiting| waiting.attempts);
            let failed = (!attempt.is_accepted()).then(|| failure(attempt, attempts, now));
            match (item.waiting, failed) {
                (Some(waiting), None) => self.finished.push(waiting.id),
                (Some(waiting), Some(failed)) => self.failed_again.push((waiting.id, failed)),
                (None, failed) => {
                    self.cursor = item.event.place;
                    self.failed.extend(failed.map(|failed| NewDelivery {
                        event: item.event.id,
                        event_type: item.event.action,
                        failed: Some(failed),
                    }));
                }
            }
        }
        self.first_failure_at = match self.first_failure_at {
            _ if is_accepted => None,
            Some(since) => Some(since),
            None => Some(now),
        };
        is_accepted
    }

    /// The number of failed attempts.
    pub fn failures(&self) -> usize {
        self.failed.len() + self.failed_again.len()
    }
}

fn failure(attempt: Attempt, attempts: i64, now: Timestamp) -> FailedAttempt {
    let pause = backoff::listed(&PAUSES, attempts);
    let requested = attempt.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
    FailedAttempt {
        at: now,
        next_at: now.plus(pause.max(requested)),
        status: attempt.status,
        reason: attempt.reason,
        answer: attempt.answer,
    }
}
