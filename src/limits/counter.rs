//! One rate limit: a quota for each key.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::{Quota, RateLimiter};

use super::state::{Key, State};
use crate::clock::Clock;

/// Counts by key; does nothing without a quota.
pub struct Counter {
    limit: Option<Limit>,
    /// Its key in the section `[limits]`.
    setting: &'static str,
    rejected: AtomicU64,
    what: &'static str,
}

struct Limit {
    quota: Quota,
    limiter: RateLimiter<Key, State, GovernorClock, NoOpMiddleware<Duration>>,
    state: State,
}

/// Ordered by severity: a longer wait is greater, `MoreThan` is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitError {
    /// A retry after this time succeeds.
    Wait(Duration),
    /// A retry never succeeds: the number is greater than this maximum of one request.
    MoreThan(u32),
}

impl Counter {
    /// `quota`: `None` means no limit. `what` names the counted objects in error messages,
    /// in the plural.
    pub fn new(
        quota: Option<Quota>,
        clock: &Arc<dyn Clock>,
        setting: &'static str,
        what: &'static str,
    ) -> Self {
        let limit = quota.map(|quota| {
            let state = State::default();
            let limiter = RateLimiter::new(quota, state.clone(), GovernorClock(Arc::clone(clock)));
            Limit { quota, limiter, state }
        });
        Self { limit, setting, rejected: AtomicU64::new(0), what }
    }

    pub fn what(&self) -> &'static str {
        self.what
    }

    /// Counts `number` for `key`.
    ///
    /// # Errors
    /// If that exceeds the quota; nothing is counted then.
    pub fn count(&self, key: &Key, number: NonZeroU32) -> Result<(), LimitError> {
        let Some(Limit { quota, limiter, .. }) = &self.limit else { return Ok(()) };
        match limiter.check_key_n(key, number) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(later)) => Err(LimitError::Wait(later.wait_time_from(limiter.clock().now()))),
            Err(_) => Err(LimitError::MoreThan(quota.burst_size().get())),
        }
    }

    /// Counts a request that exceeded the limit.
    pub fn reject(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// The name of its setting, and the number of requests that exceeded the limit.
    pub fn rejected(&self) -> (&'static str, u64) {
        (self.setting, self.rejected.load(Ordering::Relaxed))
    }

    /// Undoes a [`Counter::count`].
    pub fn refund(&self, key: &Key, number: NonZeroU32) {
        if let Some(Limit { quota, state, .. }) = &self.limit {
            state.refund(key, quota.replenish_interval() * number.get());
        }
    }

    /// Removes the keys whose quota is fully replenished.
    pub fn prune_replenished(&self) {
        if let Some(Limit { limiter, .. }) = &self.limit {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    pub fn tracked_keys(&self) -> usize {
        self.limit.as_ref().map_or(0, |limit| limit.limiter.len())
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quota = self.limit.as_ref().map(|limit| limit.quota);
        f.debug_struct("Counter").field("what", &self.what).field("quota", &quota).finish()
    }
}

/// Adapts [`Clock`] to governor's trait.
struct GovernorClock(Arc<dyn Clock>);

impl governor::clock::Clock for GovernorClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}
