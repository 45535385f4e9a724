//! Limits on open connections: in total, and for one network.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::counters::{Counters, ExceededLimit};
use crate::config::Http;
use crate::domain::Network;
use crate::transport::fair_semaphore::{FairPermit, FairSemaphore, Full};

/// The maximum of connections above the limits, which serve probes only: in total, and for one
/// network.
pub const MAX_PROBE_CONNECTIONS: usize = 16;
const MAX_PROBE_CONNECTIONS_PER_NETWORK: usize = 4;

/// The minimum time between two log lines about exceeded limits.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The requests that a connection may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Full,
    /// One health check, within a short time.
    Probe,
}

/// Decides which connections are accepted.
pub struct ConnectionLimit {
    connections: FairSemaphore<Network>,
    probes: FairSemaphore<Network>,
    /// Their connections count against the total only: many clients use each proxy.
    trusted_proxies: Vec<Network>,
    counters: Counters,
    unlogged: u64,
    logged_at: Option<Instant>,
}

impl ConnectionLimit {
    pub fn new(settings: &Http, counters: Counters) -> Self {
        let share = settings.connections_per_network();
        Self {
            connections: FairSemaphore::new(settings.max_connections, share),
            probes: FairSemaphore::new(MAX_PROBE_CONNECTIONS, MAX_PROBE_CONNECTIONS_PER_NETWORK),
            trusted_proxies: settings.trusted_proxies.clone(),
            counters,
            unlogged: 0,
            logged_at: None,
        }
    }

    /// A permit for a new connection from `address`; `None` if it must be closed.
    pub fn admit(&mut self, address: IpAddr) -> Option<(FairPermit<Network>, Access)> {
        let network = Network::of(address);
        let is_proxy = self.trusted_proxies.iter().any(|proxy| proxy.contains(address));
        match self.connections.try_acquire((!is_proxy).then_some(network)) {
            Ok(permit) => Some((permit, Access::Full)),
            Err(full) => {
                let limit = match full {
                    Full::Total => ExceededLimit::Total,
                    Full::Owner => ExceededLimit::Network,
                };
                self.counters.limited(limit);
                self.log(limit, address);
                let permit = self.probes.try_acquire(Some(network)).ok()?;
                Some((permit, Access::Probe))
            }
        }
    }

    /// Logs the first exceeded limit. Then it logs at most once per `LOG_INTERVAL`, with the number
    /// since the last line: peers decide how often a limit is exceeded.
    fn log(&mut self, limit: ExceededLimit, address: IpAddr) {
        self.unlogged += 1;
        let now = Instant::now();
        if self.logged_at.is_some_and(|logged| now.duration_since(logged) < LOG_INTERVAL) {
            return;
        }
        let refused = std::mem::take(&mut self.unlogged);
        self.logged_at = Some(now);
        let setting = limit.setting();
        tracing::warn!(
            setting,
            %address,
            refused,
            "too many open connections: new ones are refused, except for probes"
        );
    }
}

#[cfg(test)]
mod tests;
