//! Refreshes the issuers' public keys, so that no request waits for them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::auth::Authenticator;

/// Checks in this interval which keys are stale. Each issuer's source is read less often.
const PERIOD: Duration = Duration::from_secs(1);

/// Reads the keys immediately, and again when they are stale, until `stop` resolves.
pub async fn run(authenticator: Arc<Authenticator>, stop: impl Future<Output = ()>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let refresh = async {
        loop {
            ticks.tick().await;
            authenticator.refresh_public_keys();
        }
    };
    tokio::select! {
        () = refresh => {}
        () = stop => {}
    }
}
