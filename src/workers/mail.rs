//! Delivers invitations' mail from the outbox.
//!
//! A row is claimed for a while before anything is sent, so that replicas do not
//! send twice; it is taken out in one transaction with the mark on the invitation.
//! A crash in between sends again, with the same Message-ID, and loses nothing.

mod delivery;
mod pauses;

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
use crate::storage::{Store, outbox};

/// How often the outbox is looked at unasked: for what another replica put in or
/// left behind, and for what has become due.
const LOOK: Duration = Duration::from_secs(5);
/// What a claim lasts beyond the time that sending may take.
const MARGIN: Duration = Duration::from_secs(60);
/// How long mails that are on their way at the end may take to arrive.
const GRACE: Duration = Duration::from_secs(5);

/// How much is tried, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Mails on their way at a time.
    pub parallel: usize,
    /// How long the mailer takes for one at most.
    pub timeout: Duration,
    /// The first pause before a mail is tried again.
    pub retry_after: Duration,
    /// Tries before a mail is given up.
    pub max_attempts: u32,
}

/// Delivers mail; one of any number on the same outbox.
pub struct MailWorker {
    /// Where the outbox is.
    pub store: Store,
    /// What decides about due times and expiry.
    pub clock: Arc<dyn Clock>,
    /// Opens the tokens.
    pub keyring: Arc<Keyring>,
    /// Says what the mails say.
    pub templates: Templates,
    /// Says where their links lead.
    pub links: InviteLinks,
    /// Gets them away.
    pub mailer: Arc<dyn Mailer>,
    /// How much and for how long.
    pub bounds: Bounds,
}

/// Delivers until `stop` is done. `wakeup` says that there is something new.
pub async fn run(courier: Arc<MailWorker>, wakeup: Arc<Notify>, stop: impl Future<Output = ()>) {
    let mut on_their_way = JoinSet::new();
    tokio::pin!(stop);
    loop {
        if let Err(error) = courier.claim_into(&mut on_their_way).await {
            tracing::warn!(?error, "the outbox cannot be read");
        }
        if on_their_way.is_empty() {
            courier.mailer.rest().await;
        }
        tokio::select! {
            () = &mut stop => break,
            () = wakeup.notified() => {}
            () = sleep(LOOK) => {}
            Some(ended) = on_their_way.join_next() => report(ended),
        }
    }
    let rest = async {
        while let Some(ended) = on_their_way.join_next().await {
            report(ended);
        }
    };
    // What has not arrived by then is due again when its claim runs out.
    if timeout(GRACE, rest).await.is_err() {
        tracing::info!("mails that were on their way will be sent again");
    }
    courier.mailer.rest().await;
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "the delivery of a mail crashed");
    }
}

impl MailWorker {
    /// Delivers everything that is due; answers how many mails that were.
    ///
    /// # Errors
    /// If the outbox cannot be read.
    pub async fn deliver_due(self: &Arc<Self>) -> Result<usize> {
        let mut on_their_way = JoinSet::new();
        let mut claimed = 0;
        loop {
            claimed += self.claim_into(&mut on_their_way).await?;
            match on_their_way.join_next().await {
                Some(ended) => report(ended),
                None => return Ok(claimed),
            }
        }
    }

    /// Claims what is due, as far as there is room, and starts its delivery.
    async fn claim_into(self: &Arc<Self>, on_their_way: &mut JoinSet<()>) -> Result<usize> {
        let mut started = 0;
        loop {
            let room = self.bounds.parallel.saturating_sub(on_their_way.len());
            // Reading first: a transaction that writes nothing still costs one.
            if room == 0 || !outbox::is_any_due(self.store.read(), self.clock.now()).await? {
                return Ok(started);
            }
            // A claimant of its own for each time: one whose claim has run out must not
            // take a later claim for its own.
            let claimant = Uuid::new_v4();
            // Others may have claimed them meanwhile; then there is another look.
            for mail in self.claim(claimant, room).await? {
                let courier = Arc::clone(self);
                on_their_way.spawn(async move { courier.deliver(mail, claimant).await });
                started += 1;
            }
        }
    }

    async fn claim(&self, claimant: Uuid, room: usize) -> Result<Vec<outbox::Claimed>> {
        let now = self.clock.now();
        let lease_ends = now.plus(self.bounds.timeout).plus(MARGIN);
        let limit = u64::try_from(room).unwrap_or(u64::MAX);
        self.store
            .write(async move |tx| outbox::claim(tx, claimant, now, lease_ends, limit).await)
            .await
    }
}
