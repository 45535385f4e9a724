//! Workers that claim rows for a limited time before they work on them, so that two replicas do
//! not work on the same row. After a crash, a row is due again when its claim ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use uuid::Uuid;

use super::schedule::Schedule;
use crate::error::Result;

/// A claim lasts for the longest time of the work plus this time.
pub const CLAIM_MARGIN: Duration = Duration::from_secs(60);
/// Running work gets this time at shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// A queue of rows, and the work on one of them.
pub trait LeasedWork: Send + Sync + 'static {
    type Claimed: Send + 'static;

    /// Names the work in the log, such as "the delivery of a mail".
    const NAME: &'static str;
    /// The queue is read this often without a notification: for rows of other replicas, expired
    /// claims and retries that have become due.
    const POLL_INTERVAL: Duration;

    /// The most rows that are worked on at the same time.
    fn parallel(&self) -> usize;

    /// Called once in each interval and at each notification, before the queue is read.
    fn poll(&self) -> impl Future<Output = Result<()>> + Send;

    /// Whether any row is due.
    fn is_any_due(&self) -> impl Future<Output = Result<bool>> + Send;

    /// Claims at most `max` rows that are due.
    fn claim(
        &self,
        claimant: Uuid,
        max: usize,
    ) -> impl Future<Output = Result<Vec<Self::Claimed>>> + Send;

    /// Works on a row.
    fn work(&self, claimed: Self::Claimed, claimant: Uuid) -> impl Future<Output = ()> + Send;

    /// Called when no work runs.
    fn idle(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Runs until `stop` resolves. `wakeup` is notified of new rows.
pub async fn run<W: LeasedWork>(
    worker: Arc<W>,
    schedule: Arc<Schedule>,
    wakeup: Arc<Notify>,
    stop: impl Future<Output = ()>,
) {
    let mut running = JoinSet::new();
    let mut ticks = interval_at(Instant::now() + W::POLL_INTERVAL, W::POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut polls = true;
    tokio::pin!(stop);
    loop {
        let polled = if std::mem::take(&mut polls) { worker.poll().await } else { Ok(()) };
        match polled.and(claim_into(&worker, &mut running).await.map(drop)) {
            Ok(()) => schedule.succeeded(),
            Err(error) => tracing::warn!(
                ?error,
                "cannot read the queue of {}; the worker retries later",
                W::NAME
            ),
        }
        if running.is_empty() {
            worker.idle().await;
        }
        tokio::select! {
            () = &mut stop => break,
            () = wakeup.notified() => polls = true,
            _ = ticks.tick() => polls = true,
            Some(ended) = running.join_next() => log_panic::<W>(ended),
        }
    }
    let rest = async {
        while let Some(ended) = running.join_next().await {
            log_panic::<W>(ended);
        }
    };
    // Work that is cut off becomes due again when its claim ends.
    if timeout(SHUTDOWN_GRACE, rest).await.is_err() {
        tracing::info!("shutdown cut off {}; it is repeated when its claim ends", W::NAME);
    }
    worker.idle().await;
}

/// Works on all rows that are due; returns their number.
///
/// # Errors
/// If the queue cannot be read.
pub async fn run_due<W: LeasedWork>(worker: &Arc<W>) -> Result<usize> {
    let mut running = JoinSet::new();
    let mut claimed = 0;
    loop {
        claimed += claim_into(worker, &mut running).await?;
        match running.join_next().await {
            Some(ended) => log_panic::<W>(ended),
            None => return Ok(claimed),
        }
    }
}

/// Claims due rows up to [`LeasedWork::parallel`] and starts the work on them.
async fn claim_into<W: LeasedWork>(worker: &Arc<W>, running: &mut JoinSet<()>) -> Result<usize> {
    let mut started = 0;
    loop {
        let free = worker.parallel().saturating_sub(running.len());
        // Read first: a write transaction costs much more, even if it claims nothing.
        if free == 0 || !worker.is_any_due().await? {
            return Ok(started);
        }
        // A new claimant id for each claim: work whose claim has ended must not mistake a
        // later claim for its own.
        let claimant = Uuid::new_v4();
        // If other replicas have claimed all due rows, the loop reads again.
        for row in worker.claim(claimant, free).await? {
            let worker = Arc::clone(worker);
            running.spawn(async move { worker.work(row, claimant).await });
            started += 1;
        }
    }
}

fn log_panic<W: LeasedWork>(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "{} panicked; it is repeated when its claim ends", W::NAME);
    }
}
