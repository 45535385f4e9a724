//! Work that is done again and again.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::error::Result;

/// Does `work` every `period` until `stop` is done, which interrupts it; what
/// fails is told and tried again the next time. `what` could not be done then.
pub async fn every<F: Future<Output = Result<()>>>(
    period: Duration,
    what: &'static str,
    work: impl Fn() -> F,
    stop: impl Future<Output = ()>,
) {
    // Not at once: a start has better things to do.
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let work = async {
        loop {
            ticks.tick().await;
            if let Err(error) = work().await {
                tracing::warn!(?error, "{what}");
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = stop => {}
    }
}
