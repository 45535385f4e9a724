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
use super::shares::{Share, Shares};
use crate::config::Http;
use crate::domain::Network;
use crate::error::{Error, Kind, reason};
use crate::transport::protocol::methods::{Method, Methods};

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// See the module.
pub struct Load {
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    anonymous: HashMap<Arc<str>, Shares>,
}

/// The right of one request to run, until it is dropped.
pub struct Permit {
    _caller: Option<OwnedSemaphorePermit>,
    _anonymous: Option<Share>,
}

impl Load {
    /// The bounds of these settings, with one for each of `methods` that `access`
    /// opens to callers without a credential.
    pub fn new(http: &Http, methods: &Methods, access: &Access) -> Self {
        let bound = |max: usize| Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        let anonymous = methods.iter().filter(|method| access.is_open(method.path()));
        let anonymous = anonymous.map(|method| {
            let max = if method.is_unary() {
                http.max_anonymous_requests
            } else {
                http.max_anonymous_streaming_requests
            };
            (method.name(), Shares::new(max))
        });
        Self {
            calls: bound(http.max_requests),
            streams: bound(http.max_streaming_requests),
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
        let permit = Arc::clone(bound).try_acquire_owned().map_err(|_| busy())?;
        Ok(Permit { _caller: Some(permit), _anonymous: None })
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
        let shares = method.and_then(|method| self.anonymous.get(method.path()));
        let share = shares.and_then(|shares| shares.take(network)).ok_or_else(busy)?;
        Ok(Permit { _caller: None, _anonymous: Some(share) })
    }
}

fn busy() -> Error {
    Error::new(Kind::ResourceExhausted, "the server is busy; try again later")
        .with_reason(reason::OVERLOADED)
        .with_retry_after(RETRY_AFTER)
}
