//! Whether this process should be sent requests: the store takes changes and nobody
//! has asked it to stop. `/readyz` and gRPC health read the same value.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::{Error, Kind, Result};

/// Between two looks at the store.
const INTERVAL: Duration = Duration::from_secs(1);

/// A store that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The shortest time between two warnings that the store is not ready.
const QUIET: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    store: bool,
    draining: bool,
}

/// A handle on the readiness of this process. Clones share it.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<watch::Sender<State>>);

impl Readiness {
    /// Not ready, until [`Readiness::store_answers`] is said once.
    pub fn new() -> Self {
        let (state, _) = watch::channel(State { store: false, draining: false });
        Self(Arc::new(state))
    }

    /// Whether to send requests here.
    pub fn is_ready(&self) -> bool {
        let state = *self.0.borrow();
        state.store && !state.draining
    }

    /// From now on not ready: the process is about to stop.
    pub fn drain(&self) {
        self.set(|state| state.draining = true);
    }

    /// Looks at the store every second, until draining. An answer may take a
    /// second. Nobody's request reaches the store through this.
    pub async fn follow<F>(&self, check: impl Fn() -> F)
    where
        F: Future<Output = Result<()>>,
    {
        let mut changes = self.0.subscribe();
        let mut told_at: Option<Instant> = None;
        while !self.0.borrow().draining {
            let checked = tokio::time::timeout(PATIENCE, check()).await;
            let checked = checked.unwrap_or_else(|_| Err(too_slow()));
            self.store_answers(checked.is_ok());
            if let Err(cause) = checked
                && told_at.is_none_or(|told_at| told_at.elapsed() >= QUIET)
            {
                told_at = Some(Instant::now());
                tracing::warn!(
                    ?cause,
                    "not ready: the store takes no changes; it is looked at every second"
                );
            }
            let drained = changes.wait_for(|state| state.draining);
            if let Ok(Ok(_)) = tokio::time::timeout(INTERVAL, drained).await {
                return;
            }
        }
    }

    /// Notes whether the store answers.
    pub fn store_answers(&self, answers: bool) {
        if self.0.borrow().store != answers {
            tracing::info!(answers, "the store's state changed");
        }
        self.set(|state| state.store = answers);
    }

    /// Tells of every change.
    pub(super) fn watch(&self) -> Watch {
        Watch { changes: self.0.subscribe(), told: None }
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
    Error::new(Kind::Unavailable, format!("the store did not answer within {PATIENCE:?}"))
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

/// The readiness as a series of values.
pub(super) struct Watch {
    changes: watch::Receiver<State>,
    told: Option<State>,
}

impl Watch {
    /// The present value at first, then each other one. Draining ends the series,
    /// so that whoever watches does not hold up the end of the process.
    pub async fn next(&mut self) -> Option<bool> {
        let told = self.told;
        if told.is_some_and(|told| told.draining) {
            return None;
        }
        let ready = |state: &State| state.store && !state.draining;
        let is_news =
            |state: &State| told.is_none_or(|told| ready(&told) != ready(state) || state.draining);
        let state = *self.changes.wait_for(is_news).await.ok()?;
        self.told = Some(state);
        Some(ready(&state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn answer(up: bool) -> Result<()> {
        if up { Ok(()) } else { Err(too_slow()) }
    }

    #[tokio::test(start_paused = true)]
    async fn it_follows_the_store_until_draining() {
        let readiness = Readiness::new();
        let up = Arc::new(AtomicBool::new(true));
        let task = tokio::spawn({
            let (readiness, up) = (readiness.clone(), Arc::clone(&up));
            async move { readiness.follow(|| async { answer(up.load(Ordering::SeqCst)) }).await }
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
    async fn a_store_that_hangs_does_not_answer() {
        let readiness = Readiness::new();
        readiness.store_answers(true);
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
