//! Readiness: the database accepts changes and shutdown has not begun. `/readyz` and gRPC health
//! read the same value.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::{Error, Kind, Result};

/// The time between two checks of the database.
const INTERVAL: Duration = Duration::from_secs(1);

/// A check that takes longer fails.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// The minimum time between two warnings.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    store: bool,
    draining: bool,
}

/// The readiness of this process. Clones share it.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<watch::Sender<State>>);

impl Readiness {
    /// Not ready until the first successful check.
    pub fn new() -> Self {
        let (state, _) = watch::channel(State { store: false, draining: false });
        Self(Arc::new(state))
    }

    pub fn is_ready(&self) -> bool {
        let state = *self.0.borrow();
        state.store && !state.draining
    }

    /// Not ready from now on: shutdown begins.
    pub fn drain(&self) {
        self.set(|state| state.draining = true);
    }

    /// Checks the database every second until shutdown. Probes read the result: they never cause a
    /// query.
    pub async fn follow<F>(&self, check: impl Fn() -> F)
    where
        F: Future<Output = Result<()>>,
    {
        let mut changes = self.0.subscribe();
        let mut warned_at: Option<Instant> = None;
        while !self.0.borrow().draining {
            let checked = tokio::time::timeout(CHECK_TIMEOUT, check()).await;
            let checked = checked.unwrap_or_else(|_| Err(too_slow()));
            self.set_store(checked.is_ok());
            if let Err(cause) = checked
                && warned_at.is_none_or(|warned_at| warned_at.elapsed() >= WARNING_INTERVAL)
            {
                warned_at = Some(Instant::now());
                tracing::warn!(
                    ?cause,
                    "not ready: the database accepts no changes; checking again every second"
                );
            }
            let drained = changes.wait_for(|state| state.draining);
            if let Ok(Ok(_)) = tokio::time::timeout(INTERVAL, drained).await {
                return;
            }
        }
    }

    /// Sets whether the database accepts changes.
    pub fn set_store(&self, available: bool) {
        if self.0.borrow().store != available {
            tracing::info!(available, "the availability of the database has changed");
        }
        self.set(|state| state.store = available);
    }

    pub(super) fn watch(&self) -> Watch {
        Watch { changes: self.0.subscribe(), last: None }
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        self.0.send_if_modified(|state| {
            let before = *state;
            change(state);
            *state != before
        });
    }
}

fn too_slow() -> Error {
    Error::new(Kind::Unavailable, format!("the database did not answer within {CHECK_TIMEOUT:?}"))
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

/// The readiness as a stream of values.
pub(super) struct Watch {
    changes: watch::Receiver<State>,
    last: Option<State>,
}

impl Watch {
    /// The current value first, then each new one. Shutdown ends the stream, so that watchers do
    /// not delay it.
    pub async fn next(&mut self) -> Option<bool> {
        let last = self.last;
        if last.is_some_and(|last| last.draining) {
            return None;
        }
        let ready = |state: &State| state.store && !state.draining;
        let is_new =
            |state: &State| last.is_none_or(|last| ready(&last) != ready(state) || state.draining);
        let state = *self.changes.wait_for(is_new).await.ok()?;
        self.last = Some(state);
        Some(ready(&state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn check(up: bool) -> Result<()> {
        if up { Ok(()) } else { Err(too_slow()) }
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_follows_the_database_until_shutdown() {
        let readiness = Readiness::new();
        let up = Arc::new(AtomicBool::new(true));
        let task = tokio::spawn({
            let (readiness, up) = (readiness.clone(), Arc::clone(&up));
            async move { readiness.follow(|| async { check(up.load(Ordering::SeqCst)) }).await }
        });
        let mut watch = readiness.watch();
        assert_eq!(watch.next().await, Some(false));
        assert_eq!(watch.next().await, Some(true));
        up.store(false, Ordering::SeqCst);
        assert_eq!(watch.next().await, Some(false));
        up.store(true, Ordering::SeqCst);
        assert_eq!(watch.next().await, Some(true));

        readiness.drain();
        assert_eq!(watch.next().await, Some(false));
        assert_eq!(watch.next().await, None);
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_fails() {
        let readiness = Readiness::new();
        readiness.set_store(true);
        let task = tokio::spawn({
            let readiness = readiness.clone();
            async move { readiness.follow(std::future::pending).await }
        });
        let mut watch = readiness.watch();
        assert_eq!(watch.next().await, Some(true));
        assert_eq!(watch.next().await, Some(false));
        readiness.drain();
        task.await.unwrap();
    }
}
