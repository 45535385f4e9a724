//! Sends the invitation mails of the outbox.
//!
//! A worker claims a row for a limited time before it sends the mail, so that two replicas do
//! not send the same mail. One transaction removes the row and stores the delivery in the
//! invitation. After a crash in between, the mail is sent again with the same Message-ID; no
//! mail is lost.
//!
//! The transaction that stores a mail as sent also adds the row of the next reminder, which is due
//! later. So each reminder has one row. A due reminder is sent only if the invitation has not
//! ended.

mod delivery;
mod numbers;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use super::lease::{self, CLAIM_MARGIN, LeasedWork};
use super::schedule::Schedule;
use crate::clock::Clock;
use crate::domain::InviteLinks;
use crate::error::Result;
use crate::keyring::Keyring;
use crate::mail::{Mailer, Templates};
use crate::storage::change;
use crate::storage::{Store, outbox};
pub use numbers::{Counts, Numbers};

/// The queue is read this often without a notification.
pub const POLL_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Concurrent deliveries.
    pub parallel: usize,
    /// The longest time that the mailer takes for one mail.
    pub timeout: Duration,
    /// The pause after the first failed attempt.
    pub retry_after: Duration,
    pub max_attempts: u32,
}

/// Sends mails. Several workers may share one outbox.
pub struct MailWorker {
    pub store: Store,
    /// Decides about due times and expiry.
    pub clock: Arc<dyn Clock>,
    /// Decrypts the tokens.
    pub keyring: Arc<Keyring>,
    pub templates: Templates,
    pub links: InviteLinks,
    pub mailer: Arc<dyn Mailer>,
    pub bounds: Bounds,
    /// How long before an invitation expires its recipient is reminded, the longest first.
    pub reminders: Vec<Duration>,
    /// For the metrics.
    pub counts: Counts,
}

/// Runs until `stop` resolves. `wakeup` is notified of new mails.
pub async fn run(
    worker: Arc<MailWorker>,
    schedule: Arc<Schedule>,
    wakeup: Arc<Notify>,
    stop: impl Future<Output = ()>,
) {
    lease::run(worker, schedule, wakeup, stop).await;
}

impl MailWorker {
    /// Delivers all due mails; returns their number.
    ///
    /// # Errors
    /// If the outbox cannot be read.
    pub async fn deliver_due(self: &Arc<Self>) -> Result<usize> {
        lease::run_due(self).await
    }
}

impl LeasedWork for MailWorker {
    type Claimed = outbox::Claimed;

    const NAME: &'static str = "the delivery of a mail";
    const POLL_INTERVAL: Duration = POLL_INTERVAL;

    fn parallel(&self) -> usize {
        self.bounds.parallel
    }

    async fn poll(&self) -> Result<()> {
        self.count().await
    }

    async fn is_any_due(&self) -> Result<bool> {
        outbox::is_any_due(self.store.read(), self.clock.now()).await
    }

    async fn claim(&self, claimant: Uuid, max: usize) -> Result<Vec<outbox::Claimed>> {
        let now = self.clock.now();
        let lease_ends = now.plus(self.bounds.timeout).plus(CLAIM_MARGIN);
        let limit = u64::try_from(max).unwrap_or(u64::MAX);
        self.store
            .write(change!(
                async move |tx| outbox::claim(tx, claimant, now, lease_ends, limit).await
            ))
            .await
    }

    async fn work(&self, mail: outbox::Claimed, claimant: Uuid) {
        self.deliver(mail, claimant).await;
    }

    async fn idle(&self) {
        self.mailer.close_idle().await;
    }
}
