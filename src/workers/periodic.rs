//! Periodic tasks.

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::schedule::Schedule;
use crate::error::Result;

/// Runs `work` in each period until `stop` resolves, which cancels a running `work`. An error
/// is logged with the message `failure`.
pub async fn run_periodically<F: Future<Output = Result<()>>>(
    schedule: &Schedule,
    failure: &'static str,
    work: impl Fn() -> F,
    stop: impl Future<Output = ()>,
) {
    // The first run is after one period, so that it does not slow down the start.
    let mut ticks = interval_at(Instant::now() + schedule.period, schedule.period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let work = async {
        loop {
            ticks.tick().await;
            match work().await {
                Ok(()) => schedule.succeeded(),
                Err(error) => tracing::warn!(?error, "{failure}"),
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = stop => {}
    }
}
