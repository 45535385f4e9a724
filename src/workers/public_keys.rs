//! Keeps the issuers' public keys fresh, so that no request waits for them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::auth::Authenticator;

/// How often it is looked at which keys are due; each issuer's source is read at a
/// pace of its own.
const PERIOD: Duration = Duration::from_secs(1);

/// Reads the keys at once, and again whenever they are due, until `stop` is done.
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
