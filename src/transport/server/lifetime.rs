//! The idle time-out and the maximum age of connections.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::counters::Ending;

/// The maximum age varies at random, up or down, by at most the age divided by this number, so that
/// connections that begin together, as after a restart, do not end together.
const JITTER_DIVISOR: u32 = 10;

/// The end of a connection that begins now; `None` without a maximum age.
pub fn end(max_age: Duration) -> Option<Instant> {
    if max_age.is_zero() {
        return None;
    }
    let spread = max_age / JITTER_DIVISOR;
    let random = RandomState::new().hash_one(()) as f64 / u64::MAX as f64;
    Some(Instant::now() + max_age - spread + (2 * spread).mul_f64(random))
}

/// Resolves at `end`, if there is one.
pub async fn reached(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// The running requests of an HTTP/2 connection. Clones share the count.
#[derive(Debug, Clone)]
pub struct ActiveRequests(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    running: usize,
    /// The end of the last request, or the beginning of the connection.
    idle_since: Instant,
}

impl ActiveRequests {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State { running: 0, idle_since: Instant::now() })))
    }

    /// Counts a request until the guard is dropped.
    pub fn begin(&self) -> ActiveRequest {
        self.state().running += 1;
        ActiveRequest(self.clone())
    }

    /// Resolves after `idle` without a request, or at `end`.
    pub async fn ending(&self, idle: Duration, end: Option<Instant>) -> Ending {
        loop {
            let now = Instant::now();
            if end.is_some_and(|end| now >= end) {
                return Ending::Age;
            }
            let idle_since = {
                let state = self.state();
                if state.running == 0 { state.idle_since } else { now }
            };
            let idle_end = idle_since + idle;
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

/// A running request.
#[derive(Debug)]
pub struct ActiveRequest(ActiveRequests);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running -= 1;
        state.idle_since = Instant::now();
    }
}
