//! Sends the mails that report changes.
//!
//! A worker claims a row for a limited time, as in the outbox. After a mail about waiting join
//! requests, the row stays and is due again after [`PAUSE`]. Then the worker sends a mail about
//! newer requests, or removes the row if there are none. So one mail reports all requests that
//! arrive in the pause. Every other row is removed after its mail.

mod delivery;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use super::lease::{self, CLAIM_MARGIN, LeasedWork};
use super::mail::MailWorker;
use super::schedule::Schedule;
use crate::auth::Issuers;
use crate::error::Result;
use crate::mail::NoticeTemplates;
use crate::storage::{change, notices};

/// The queue is read this often. These mails are not urgent, so there is no notification.
pub const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// An admin gets at most one mail about the requests of an organization in this time.
pub const PAUSE: Duration = Duration::from_secs(60 * 60);

/// Sends notices. Several workers may share one queue.
pub struct NoticeWorker {
    /// Has the store, the mail server, the bounds and the numbers for the metrics.
    pub mail: Arc<MailWorker>,
    /// Decides which addresses count as verified.
    pub issuers: Arc<Issuers>,
    /// `None`: mails are not sent but discarded.
    pub templates: Option<NoticeTemplates>,
    /// The URL of the console, if there is one.
    pub console: Option<String>,
}

/// Runs until `stop` resolves.
pub async fn run(
    worker: Arc<NoticeWorker>,
    schedule: Arc<Schedule>,
    stop: impl Future<Output = ()>,
) {
    lease::run(worker, schedule, Arc::new(Notify::new()), stop).await;
}

impl NoticeWorker {
    /// Sends all mails that are due; returns the number of rows that were due.
    ///
    /// # Errors
    /// If the queue cannot be read.
    pub async fn send_due(self: &Arc<Self>) -> Result<usize> {
        lease::run_due(self).await
    }
}

impl LeasedWork for NoticeWorker {
    type Claimed = notices::Claimed;

    const NAME: &'static str = "the delivery of a notice";
    const POLL_INTERVAL: Duration = POLL_INTERVAL;

    fn parallel(&self) -> usize {
        // The other connections are for invitation mails, which are more urgent.
        1
    }

    async fn poll(&self) -> Result<()> {
        // The mail worker counts the notices together with its own mails.
        Ok(())
    }

    async fn is_any_due(&self) -> Result<bool> {
        notices::is_any_due(self.mail.store.read(), self.mail.clock.now()).await
    }

    async fn claim(&self, claimant: Uuid, max: usize) -> Result<Vec<notices::Claimed>> {
        let now = self.mail.clock.now();
        let lease_ends = now.plus(self.mail.bounds.timeout).plus(CLAIM_MARGIN);
        let limit = u64::try_from(max).unwrap_or(u64::MAX);
        self.mail
            .store
            .write(change!(
                async move |tx| notices::claim(tx, claimant, now, lease_ends, limit).await
            ))
            .await
    }

    async fn work(&self, notice: notices::Claimed, claimant: Uuid) {
        self.deliver(notice, claimant).await;
    }
}
