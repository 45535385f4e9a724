//! Writes the last use of API keys to the store, once a minute in one transaction.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::schedule::Schedule;
use crate::auth::key_usage::{KeyUsage, RESOLUTION};
use crate::error::Result;
use crate::storage::change;
use crate::storage::{Store, api_keys};

/// How often uses are written.
pub const PERIOD: Duration = RESOLUTION;

/// Runs until `stop` resolves, and then writes once more.
pub async fn run(
    schedule: Arc<Schedule>,
    store: Store,
    usage: Arc<KeyUsage>,
    stop: impl Future<Output = ()>,
) {
    let mut ticks = interval(schedule.period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(stop);
    loop {
        let stopping = tokio::select! {
            _ = ticks.tick() => false,
            () = &mut stop => true,
        };
        match flush(&store, &usage).await {
            Ok(()) => schedule.succeeded(),
            Err(error) => {
                tracing::warn!(
                    ?error,
                    "cannot store the last use of API keys; it is retried later"
                );
            }
        }
        if stopping {
            return;
        }
    }
}

/// Writes the pending uses.
///
/// # Errors
/// If the store cannot be written; the uses stay pending.
pub async fn flush(store: &Store, usage: &KeyUsage) -> Result<()> {
    let uses = usage.take();
    if uses.is_empty() {
        return Ok(());
    }
    let written = uses.clone();
    let result = store
        .write(change!(async move |tx| {
            for (id, at) in &written {
                api_keys::record_use(tx, id, *at).await?;
            }
            Ok(())
        }))
        .await;
    if result.is_err() {
        usage.restore(uses);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::tests::authenticate::{Fixture, authenticator, bearer};
    use crate::domain::ApiKeySecret;

    async fn last_used(fixture: &Fixture, key: &ApiKeySecret) -> Option<i64> {
        let (key, _) = api_keys::find(fixture.store.read(), key.id()).await.unwrap().unwrap();
        key.last_used_at.map(|at| at.as_micros())
    }

    async fn flush_all(fixture: &Fixture) {
        flush(&fixture.store, fixture.authenticator.key_usage()).await.unwrap();
    }

    #[tokio::test]
    async fn the_last_use_of_a_key_is_written_once_a_minute() {
        let fixture = Fixture::new().await;
        let key = fixture.key(|_| {}).await;
        for _ in 0..10 {
            fixture.authenticate(&bearer(&key)).await.unwrap();
        }
        assert_eq!(last_used(&fixture, &key).await, None, "no request writes");
        flush_all(&fixture).await;
        let first = last_used(&fixture, &key).await.unwrap();

        // Another replica, which reads the key for the first time after its last use was written.
        let mut fixture = fixture;
        fixture.authenticator = authenticator(&[], &fixture.store, &fixture.clock).await;
        fixture.clock.advance(Duration::from_secs(30));
        fixture.authenticate(&bearer(&key)).await.unwrap();
        assert!(fixture.authenticator.key_usage().take().is_empty());
        fixture.clock.advance(Duration::from_secs(31));
        fixture.authenticate(&bearer(&key)).await.unwrap();
        flush_all(&fixture).await;
        assert!(last_used(&fixture, &key).await.unwrap() > first);
    }

    #[tokio::test]
    async fn the_last_use_of_a_key_is_written_at_shutdown() {
        let fixture = Fixture::new().await;
        let key = fixture.key(|_| {}).await;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let usage = Arc::clone(fixture.authenticator.key_usage());
        let schedule = Schedule::new("key_usage", PERIOD);
        let worker = tokio::spawn(run(schedule, fixture.store.clone(), usage, async {
            drop(stopped.await);
        }));
        tokio::task::yield_now().await;
        fixture.authenticate(&bearer(&key)).await.unwrap();
        stop.send(()).unwrap();
        worker.await.unwrap();
        assert!(last_used(&fixture, &key).await.is_some());
    }
}
