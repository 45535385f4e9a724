//! Sends events to webhooks.
//!
//! Each endpoint has a cursor in the feed. A worker claims an endpoint for a limited time and sends
//! what is due: the events after the cursor, and events that failed before. Each event that was
//! sent moves the cursor. For an event that succeeds, nothing else is stored; an event that fails
//! gets a row, and is sent again later. After a crash between sending and storing, events are sent
//! again.
//!
//! No change writes anything for an endpoint: the worker reads the feed once a second and finds
//! the endpoints of the events.

mod batch;
mod poll;
mod turn;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use super::backlog::Backlog;
use super::lease::{self, CLAIM_MARGIN, LeasedWork};
use super::schedule::Schedule;
use crate::clock::Clock;
use crate::error::Result;
use crate::keyring::Keyring;
use crate::storage::webhook_turns::{self, Endpoint};
use crate::storage::{Store, change, webhook_deliveries};
use crate::webhooks::Sender;
use batch::Batch;
use poll::Feed;

/// The queue is read this often without a notification.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The most endpoints that are worked on at the same time.
const PARALLEL: usize = 64;

/// Sends to endpoints. Several replicas may share them.
pub struct WebhookWorker {
    store: Store,
    /// Decides about due times.
    clock: Arc<dyn Clock>,
    /// Decrypts the secrets.
    keyring: Arc<Keyring>,
    sender: Arc<Sender>,
    /// Older events are not sent.
    event_retention: Duration,
    feed: tokio::sync::Mutex<Feed>,
    backlog: Backlog,
    failed: AtomicU64,
}

/// The numbers of the metrics.
#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    /// Events that endpoints have not accepted; counted a few times a minute.
    pub waiting: i64,
    /// How long the oldest of them has waited.
    pub oldest_seconds: i64,
    /// Requests of this process that failed.
    pub failed: u64,
}

/// Runs until `stop` resolves. `wakeup` is notified of new events and changed endpoints.
pub async fn run(
    worker: Arc<WebhookWorker>,
    schedule: Arc<Schedule>,
    wakeup: Arc<Notify>,
    stop: impl Future<Output = ()>,
) {
    lease::run(worker, schedule, wakeup, stop).await;
}

impl WebhookWorker {
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        keyring: Arc<Keyring>,
        sender: Arc<Sender>,
        event_retention: Duration,
    ) -> Self {
        Self {
            store,
            clock,
            keyring,
            sender,
            event_retention,
            feed: tokio::sync::Mutex::default(),
            backlog: Backlog::default(),
            failed: AtomicU64::new(0),
        }
    }

    /// Finds the endpoints of new events and sends all that is due.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn deliver_due(self: &Arc<Self>) -> Result<usize> {
        self.poll().await?;
        lease::run_due(self).await
    }

    pub fn numbers(&self) -> Numbers {
        Numbers {
            waiting: self.backlog.waiting(),
            oldest_seconds: self.backlog.oldest_seconds(),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    fn count_failures(&self, batch: &Batch) {
        let failures = u64::try_from(batch.failures()).unwrap_or(u64::MAX);
        self.failed.fetch_add(failures, Ordering::Relaxed);
    }

    async fn count(&self) -> Result<()> {
        let now = self.clock.now();
        self.backlog.count(webhook_deliveries::backlog(self.store.read(), now), now).await
    }
}

impl LeasedWork for WebhookWorker {
    type Claimed = Endpoint;

    const NAME: &'static str = "sending to a webhook";
    const POLL_INTERVAL: Duration = POLL_INTERVAL;

    fn parallel(&self) -> usize {
        PARALLEL
    }

    async fn poll(&self) -> Result<()> {
        let now = self.clock.now();
        self.feed.lock().await.poll(&self.store, now).await?;
        self.count().await
    }

    async fn is_any_due(&self) -> Result<bool> {
        webhook_turns::is_any_due(self.store.read(), self.clock.now()).await
    }

    async fn claim(&self, claimant: Uuid, max: usize) -> Result<Vec<Endpoint>> {
        let now = self.clock.now();
        let lease_ends = now.plus(turn::MAX_BATCH).plus(CLAIM_MARGIN);
        let limit = u64::try_from(max).unwrap_or(u64::MAX);
        self.store
            .write(change!(async move |tx| {
                webhook_turns::claim(tx, claimant, now, lease_ends, limit).await
            }))
            .await
    }

    async fn work(&self, endpoint: Endpoint, claimant: Uuid) {
        let webhook = endpoint.webhook.id;
        if let Err(error) = self.take_turn(endpoint, claimant).await {
            tracing::warn!(
                ?error,
                %webhook,
                "cannot send to a webhook or store the result; it is repeated when its claim ends"
            );
        }
    }
}
