//! One limit: a number in a period, for each key.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::{Quota, RateLimiter};

use super::state::{Key, State};
use crate::clock::Clock;

/// Counts for each key, or not at all where nothing is limited.
pub struct Counter {
    limit: Option<Limit>,
    what: &'static str,
}

struct Limit {
    quota: Quota,
    limiter: RateLimiter<Key, State, Ticks, NoOpMiddleware<Duration>>,
    state: State,
}

/// Why something is not let through; the later is the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Not before this time is over.
    Wait(Duration),
    /// Never: it is more than this at once.
    MoreThan(u32),
}

impl Counter {
    /// Limits to `quota`, if there is one. `what` is counted, in the plural.
    pub fn new(quota: Option<Quota>, clock: &Arc<dyn Clock>, what: &'static str) -> Self {
        let limit = quota.map(|quota| {
            let state = State::default();
            let limiter = RateLimiter::new(quota, state.clone(), Ticks(Arc::clone(clock)));
            Limit { quota, limiter, state }
        });
        Self { limit, what }
    }

    /// What is counted.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// Counts `number` for `key`, or nothing.
    pub fn count(&self, key: &Key, number: NonZeroU32) -> Result<(), Refusal> {
        let Some(Limit { quota, limiter, .. }) = &self.limit else { return Ok(()) };
        match limiter.check_key_n(key, number) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(later)) => Err(Refusal::Wait(later.wait_time_from(limiter.clock().now()))),
            Err(_) => Err(Refusal::MoreThan(quota.burst_size().get())),
        }
    }

    /// Undoes a [`Counter::count`].
    pub fn give_back(&self, key: &Key, number: NonZeroU32) {
        if let Some(Limit { quota, state, .. }) = &self.limit {
            state.give_back(key, quota.replenish_interval() * number.get());
        }
    }

    /// Forgets the keys that have their whole number again.
    pub fn forget_the_rested(&self) {
        if let Some(Limit { limiter, .. }) = &self.limit {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    /// How many keys are remembered.
    pub fn remembered(&self) -> usize {
        self.limit.as_ref().map_or(0, |limit| limit.limiter.len())
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quota = self.limit.as_ref().map(|limit| limit.quota);
        f.debug_struct("Counter").field("what", &self.what).field("quota", &quota).finish()
    }
}

/// Our clock as governor wants one.
struct Ticks(Arc<dyn Clock>);

impl governor::clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}
