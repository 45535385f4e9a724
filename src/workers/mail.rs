//! Sends the invitation mails of the outbox.
//!
//! A worker claims a row for a limited time before it sends the mail, so that two replicas do
//! not send the same mail. One transaction removes the row and stores the delivery in the
//! invitation. After a crash in between, the mail is sent again with the same Message-ID; no
//! mail is lost.

mod backoff;
mod delivery;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::InviteLinks;
use crate::error::Result;
use crate::keyring::Keyring;
use crate::mail::{Mailer, Templates};
use crate::storage::change;
use crate::storage::{Store, outbox};

/// The outbox is read this often without a notification: for mails of other replicas, expired
/// claims and retries that have become due.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// A claim lasts for `Bounds::timeout` and this time.
const CLAIM_MARGIN: Duration = Duration::from_secs(60);
/// Running deliveries get this time at shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

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
}

/// Runs until `stop` resolves. `wakeup` is notified of new mails.
pub async fn run(worker: Arc<MailWorker>, wakeup: Arc<Notify>, stop: impl Future<Output = ()>) {
    let mut deliveries = JoinSet::new();
    tokio::pin!(stop);
    loop {
        if let Err(error) = worker.claim_into(&mut deliveries).await {
            tracing::warn!(?error, "cannot read the outbox; the worker retries later");
        }
        if deliveries.is_empty() {
            worker.mailer.close_idle().await;
        }
        tokio::select! {
            () = &mut stop => break,
            () = wakeup.notified() => {}
            () = sleep(POLL_INTERVAL) => {}
            Some(ended) = deliveries.join_next() => log_panic(ended),
        }
    }
    let rest = async {
        while let Some(ended) = deliveries.join_next().await {
            log_panic(ended);
        }
    };
    // A mail whose delivery is cut off becomes due again when its claim expires.
    if timeout(SHUTDOWN_GRACE, rest).await.is_err() {
        tracing::info!("shutdown cut off deliveries of mails; they will be sent again");
    }
    worker.mailer.close_idle().await;
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "the delivery of a mail panicked; it is retried when its claim expires");
    }
}

impl MailWorker {
    /// Delivers all due mails; returns their number.
    ///
    /// # Errors
    /// If the outbox cannot be read.
    pub async fn deliver_due(self: &Arc<Self>) -> Result<usize> {
        let mut deliveries = JoinSet::new();
        let mut claimed = 0;
        loop {
            claimed += self.claim_into(&mut deliveries).await?;
            match deliveries.join_next().await {
                Some(ended) => log_panic(ended),
                None => return Ok(claimed),
            }
        }
    }

    /// Claims due mails up to [`Bounds::parallel`] and starts their deliveries.
    async fn claim_into(self: &Arc<Self>, deliveries: &mut JoinSet<()>) -> Result<usize> {
        let mut started = 0;
        loop {
            let free = self.bounds.parallel.saturating_sub(deliveries.len());
            // Read first: a write transaction costs much more, even if it claims nothing.
            if free == 0 || !outbox::is_any_due(self.store.read(), self.clock.now()).await? {
                return Ok(started);
            }
            // A new claimant id for each claim: a delivery whose claim has expired must not
            // mistake a later claim for its own.
            let claimant = Uuid::new_v4();
            // If other replicas have claimed all due mails, the loop reads again.
            for mail in self.claim(claimant, free).await? {
                let worker = Arc::clone(self);
                deliveries.spawn(async move { worker.deliver(mail, claimant).await });
                started += 1;
            }
        }
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
}
