//! Periodic tasks.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::error::Result;

/// Runs `work` every `period` until `stop` resolves, which cancels a running `work`. An error
/// is logged with the message `failure`.
pub async fn run_periodically<F: Future<Output = Result<()>>>(
    period: Duration,
    failure: &'static str,
    work: impl Fn() -> F,
    stop: impl Future<Output = ()>,
) {
    // The first run is after one period, so that it does not slow down the start.
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let work = async {
        loop {
            ticks.tick().await;
            if let Err(error) = work().await {
                tracing::warn!(?error, "{failure}");
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = stop => {}
    }
}
