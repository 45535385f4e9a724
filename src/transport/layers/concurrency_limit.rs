//! Limits on concurrent requests. A request above a limit is rejected at once with
//! RESOURCE_EXHAUSTED and a retry delay.
//!
//! Authenticated callers share two limits: one for unary calls, and one for streaming calls, which
//! may never end. Each method that is open to callers without a credential has its own small limit
//! for them, and one client network gets at most a quarter of it. So neither a flood of one kind of
//! call nor one network can block other callers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::authenticate::Access;
use crate::config::Http;
use crate::domain::Network;
use crate::error::{Error, Kind, reason};
use crate::transport::fair_semaphore::{FairPermit, FairSemaphore};
use crate::transport::methods::{Method, Methods};
use crate::transport::metrics::Metrics;

/// A rejected client should wait this long before it retries.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// One client network gets at most the permits of a limit divided by this number, rounded up.
const NETWORK_SHARE: usize = 4;

/// A limit for callers without a valid credential. Requests of an unknown network count as one
/// network.
pub struct AnonymousLimit(FairSemaphore<Option<Network>>);

impl AnonymousLimit {
    /// At most `total` permits, a quarter of them for one network.
    pub fn new(total: usize) -> Self {
        Self(FairSemaphore::new(total, total.div_ceil(NETWORK_SHARE)))
    }

    /// A permit for a request from `network`, if one is free for it.
    pub fn try_acquire(&self, network: Option<Network>) -> Option<Permit> {
        let permit = self.0.try_acquire(Some(network)).ok()?;
        Some(Permit { _caller: None, _anonymous: Some(permit) })
    }
}

/// A limit for authenticated callers.
pub struct CallerLimit(Arc<Semaphore>);

impl CallerLimit {
    pub fn new(total: usize) -> Self {
        Self(Arc::new(Semaphore::new(total.min(Semaphore::MAX_PERMITS))))
    }

    /// A permit, if one is free.
    pub fn try_acquire(&self) -> Option<Permit> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(Permit { _caller: Some(permit), _anonymous: None })
    }
}

/// Counts against a limit until it is dropped.
pub struct Permit {
    _caller: Option<OwnedSemaphorePermit>,
    _anonymous: Option<FairPermit<Option<Network>>>,
}

pub struct ConcurrencyLimit {
    calls: CallerLimit,
    streams: CallerLimit,
    /// By the path of the method.
    anonymous: HashMap<Arc<str>, AnonymousLimit>,
    metrics: Metrics,
}

impl ConcurrencyLimit {
    /// Creates the limits from the settings. Each of `methods` that `access` opens to callers
    /// without a credential gets its own limit.
    pub fn new(http: &Http, methods: &Methods, access: &Access, metrics: Metrics) -> Self {
        let anonymous = methods.iter().filter(|method| access.is_open(method.path()));
        let anonymous = anonymous.map(|method| {
            let max = if method.is_unary() {
                http.max_anonymous_requests
            } else {
                http.max_anonymous_streaming_requests
            };
            (method.name(), AnonymousLimit::new(max))
        });
        Self {
            calls: CallerLimit::new(http.max_requests),
            streams: CallerLimit::new(http.max_streaming_requests),
            anonymous: anonymous.collect(),
            metrics,
        }
    }

    /// A permit for a request of an authenticated caller.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if the limit is reached.
    pub fn acquire_for_caller(&self, method: Option<&Method>) -> Result<Permit, Error> {
        let is_stream = method.is_some_and(|method| !method.is_unary());
        let (limit, setting) = match is_stream {
            true => (&self.streams, "max_streaming_requests"),
            false => (&self.calls, "max_requests"),
        };
        limit.try_acquire().ok_or_else(|| self.busy(setting))
    }

    /// A permit for a request without a valid credential.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if the limit or the share of the network is reached.
    pub fn acquire_for_anonymous(
        &self,
        method: Option<&Method>,
        network: Option<Network>,
    ) -> Result<Permit, Error> {
        let limit = method.and_then(|method| self.anonymous.get(method.path()));
        limit.and_then(|limit| limit.try_acquire(network)).ok_or_else(|| {
            self.busy(match method.is_none_or(Method::is_unary) {
                true => "max_anonymous_requests",
                false => "max_anonymous_streaming_requests",
            })
        })
    }

    fn busy(&self, setting: &'static str) -> Error {
        self.metrics.rejected(setting);
        Error::new(Kind::ResourceExhausted, "the server is busy; try again later")
            .with_reason(reason::OVERLOADED)
            .with_retry_after(RETRY_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p41_one_network_gets_a_quarter_of_the_limit() {
        let limit = AnonymousLimit::new(8);
        let network = |number: u8| Some(Network::of([192, 0, 2, number].into()));
        let mut held = Vec::new();
        for from in [None, network(1), network(2), network(3)] {
            held.extend([from; 2].map(|from| limit.try_acquire(from).expect("a permit")));
            assert!(limit.try_acquire(from).is_none(), "{from:?}");
        }
        assert!(limit.try_acquire(network(9)).is_none());
        held.remove(0);
        assert!(limit.try_acquire(network(1)).is_none(), "the network has its full share");
        assert!(limit.try_acquire(network(9)).is_some());
    }
}
