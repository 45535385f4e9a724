//! Writes down when keys were last used: all of a minute in one transaction.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::auth::key_usage::{KeyUsage, RESOLUTION};
use crate::error::Result;
use crate::storage::{Store, api_keys};

/// Runs until `stop` is done, and writes once more then.
pub async fn run(store: Store, usage: Arc<KeyUsage>, stop: impl Future<Output = ()>) {
    run_every(RESOLUTION, store, usage, stop).await;
}

async fn run_every(
    period: Duration,
    store: Store,
    usage: Arc<KeyUsage>,
    stop: impl Future<Output = ()>,
) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(stop);
    loop {
        let stopping = tokio::select! {
            _ = ticks.tick() => false,
            () = &mut stop => true,
        };
        if let Err(error) = flush(&store, &usage).await {
            tracing::warn!(?error, "the last use of keys could not be written down");
        }
        if stopping {
            return;
        }
    }
}

/// Writes what is pending; what cannot be written stays pending.
///
/// # Errors
/// If the store cannot be written.
pub async fn flush(store: &Store, usage: &KeyUsage) -> Result<()> {
    let uses = usage.take();
    if uses.is_empty() {
        return Ok(());
    }
    let written = uses.clone();
    let result = store
        .write(async move |tx| {
            for (id, at) in &written {
                api_keys::record_use(tx, id, *at).await?;
            }
            Ok(())
        })
        .await;
    if result.is_err() {
        usage.put_back(uses);
    }
    result
}
