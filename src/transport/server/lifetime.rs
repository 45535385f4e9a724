//! How long a connection may live: without a request, and at all.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::counters::Ending;

/// One in so many of a greatest age is left to chance, more or less: connections that
/// began together, as after a restart, do not end together.
const JITTER: u32 = 10;

/// When a connection that begins now is to end. `None`: never.
pub fn end(max_age: Duration) -> Option<Instant> {
    if max_age.is_zero() {
        return None;
    }
    let spread = max_age / JITTER;
    let chance = RandomState::new().hash_one(()) as f64 / u64::MAX as f64;
    Some(Instant::now() + max_age - spread + (2 * spread).mul_f64(chance))
}

/// Resolves at `end`, if there is one.
pub async fn reached(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// The requests that an HTTP/2 connection is answering. Clones share.
#[derive(Debug, Clone)]
pub struct Requests(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    running: usize,
    /// When the last one ended, or the connection began.
    since: Instant,
}

impl Requests {
    /// None, from now on.
    pub fn none() -> Self {
        Self(Arc::new(Mutex::new(State { running: 0, since: Instant::now() })))
    }

    /// One more, until what this returns is dropped.
    pub fn begin(&self) -> Running {
        self.state().running += 1;
        Running(self.clone())
    }

    /// Resolves when there has been none for as long as `idle`, or at `end`.
    pub async fn ending(&self, idle: Duration, end: Option<Instant>) -> Ending {
        loop {
            let now = Instant::now();
            if end.is_some_and(|end| now >= end) {
                return Ending::Age;
            }
            let since = {
                let state = self.state();
                if state.running == 0 { state.since } else { now }
            };
            let idle_end = since + idle;
            if now >= idle_end {
                return Ending::Idle;
            }
            tokio::time::sleep_until(end.map_or(idle_end, |end| end.min(idle_end))).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that has not ended.
#[derive(Debug)]
pub struct Running(Requests);

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running -= 1;
        state.since = Instant::now();
    }
}
