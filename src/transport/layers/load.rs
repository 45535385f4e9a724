//! Bounds on requests running at a time. Over one the answer comes at once:
//! RESOURCE_EXHAUSTED with a time to retry after.
//!
//! The bound depends on who calls. Callers with a valid credential share two: one for
//! calls, and one for calls of streaming methods, which may last for ever. A method
//! that is open to callers without a credential has a small bound of its own for them,
//! of which one client network gets a quarter at most. So neither a flood of one kind
//! nor one network turns other callers away.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::authenticate::Access;
use crate::config::Http;
use crate::domain::Network;
use crate::error::{Error, Kind, reason};
use crate::transport::protocol::methods::{Method, Methods};
use crate::transport::shares::{Share, Shares};

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The part of a bound that one client network may have: one in so many.
const NETWORKS: usize = 4;

/// A bound on what is done at a time for callers without a valid credential. Requests
/// whose network is not known count as one network.
pub struct Anonymous(Shares<Option<Network>>);

impl Anonymous {
    /// At most `total`, a quarter of it for one network.
    pub fn new(total: usize) -> Self {
        Self(Shares::new(total, total.div_ceil(NETWORKS)))
    }

    /// A place for a request from `network`, if one is free for it.
    pub fn take(&self, network: Option<Network>) -> Option<Permit> {
        let share = self.0.take(Some(network)).ok()?;
        Some(Permit { _caller: None, _anonymous: Some(share) })
    }
}

/// A bound on what is done at a time for callers with a valid credential.
pub struct Callers(Arc<Semaphore>);

impl Callers {
    /// At most `total`.
    pub fn new(total: usize) -> Self {
        Self(Arc::new(Semaphore::new(total.min(Semaphore::MAX_PERMITS))))
    }

    /// A place, if one is free.
    pub fn take(&self) -> Option<Permit> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(Permit { _caller: Some(permit), _anonymous: None })
    }
}

/// A place within a bound, until it is dropped.
pub struct Permit {
    _caller: Option<OwnedSemaphorePermit>,
    _anonymous: Option<Share<Option<Network>>>,
}

/// See the module.
pub struct Load {
    calls: Callers,
    streams: Callers,
    anonymous: HashMap<Arc<str>, Anonymous>,
}

impl Load {
    /// The bounds of these settings, with one for each of `methods` that `access`
    /// opens to callers without a credential.
    pub fn new(http: &Http, methods: &Methods, access: &Access) -> Self {
        let anonymous = methods.iter().filter(|method| access.is_open(method.path()));
        let anonymous = anonymous.map(|method| {
            let max = if method.is_unary() {
                http.max_anonymous_requests
            } else {
                http.max_anonymous_streaming_requests
            };
            (method.name(), Anonymous::new(max))
        });
        Self {
            calls: Callers::new(http.max_requests),
            streams: Callers::new(http.max_streaming_requests),
            anonymous: anonymous.collect(),
        }
    }

    /// Lets a request of a caller with a valid credential run.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if as many run as may.
    pub fn caller(&self, method: Option<&Method>) -> Result<Permit, Error> {
        let is_stream = method.is_some_and(|method| !method.is_unary());
        let bound = if is_stream { &self.streams } else { &self.calls };
        bound.take().ok_or_else(busy)
    }

    /// Lets a request without a valid credential run.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if as many run as may, from this network or from all.
    pub fn anonymous(
        &self,
        method: Option<&Method>,
        network: Option<Network>,
    ) -> Result<Permit, Error> {
        let bound = method.and_then(|method| self.anonymous.get(method.path()));
        bound.and_then(|bound| bound.take(network)).ok_or_else(busy)
    }
}

fn busy() -> Error {
    Error::new(Kind::ResourceExhausted, "the server is busy; try again later")
        .with_reason(reason::OVERLOADED)
        .with_retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p41_one_network_gets_a_quarter_and_all_get_the_total() {
        let bound = Anonymous::new(8);
        let network = |number: u8| Some(Network::of([192, 0, 2, number].into()));
        let mut held = Vec::new();
        for from in [None, network(1), network(2), network(3)] {
            held.extend([from; 2].map(|from| bound.take(from).expect("a place")));
            assert!(bound.take(from).is_none(), "{from:?}");
        }
        assert!(bound.take(network(9)).is_none());
        held.remove(0);
        assert!(bound.take(network(1)).is_none(), "its share is taken");
        assert!(bound.take(network(9)).is_some());
    }
}
