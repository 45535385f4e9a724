//! How many connections there may be at a time: altogether, and of one network.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::counters::{Counters, Refusal};
use crate::config::Http;
use crate::domain::Network;
use crate::transport::shares::{Full, Share, Shares};

/// Connections for probes alone, of those that have no other place: altogether, and of
/// one network.
pub const PROBES: usize = 16;
const PROBES_OF_ONE_NETWORK: usize = 4;

/// The least time between two lines in the log about connections that are refused.
const QUIET: Duration = Duration::from_secs(60);

/// What a connection may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    Full,
    /// Whether the server is healthy, once and soon.
    Probe,
}

/// Decides which connections are let in.
pub struct Admission {
    connections: Shares<Network>,
    probes: Shares<Network>,
    /// Connections of these count for no network: many clients come through each.
    trusted_proxies: Vec<Network>,
    counters: Counters,
    refused_since_told: u64,
    told: Option<Instant>,
}

impl Admission {
    /// As many as `settings` say.
    pub fn new(settings: &Http, counters: Counters) -> Self {
        let share = settings.connections_per_network();
        Self {
            connections: Shares::new(settings.max_connections, share),
            probes: Shares::new(PROBES, PROBES_OF_ONE_NETWORK),
            trusted_proxies: settings.trusted_proxies.clone(),
            counters,
            refused_since_told: 0,
            told: None,
        }
    }

    /// The place of a new connection from `address`, unless it is to be closed at once.
    pub fn admit(&mut self, address: IpAddr) -> Option<(Place, Access)> {
        let network = Network::of(address);
        let is_proxy = self.trusted_proxies.iter().any(|proxy| proxy.contains(address));
        match self.connections.take((!is_proxy).then_some(network)) {
            Ok(place) => Some((place, Access::Full)),
            Err(full) => {
                let refusal = match full {
                    Full::Total => Refusal::All,
                    Full::Owner => Refusal::Network,
                };
                self.counters.refused(refusal);
                self.tell(refusal, address);
                let place = self.probes.take(Some(network)).ok()?;
                Some((place, Access::Probe))
            }
        }
    }

    /// Writes the first refusal and then the sum of each minute into the log, since
    /// peers decide how many refusals there are.
    fn tell(&mut self, refusal: Refusal, address: IpAddr) {
        self.refused_since_told += 1;
        let now = Instant::now();
        if self.told.is_some_and(|told| now.duration_since(told) < QUIET) {
            return;
        }
        let refused = std::mem::take(&mut self.refused_since_told);
        self.told = Some(now);
        let setting = refusal.setting();
        tracing::warn!(
            setting,
            %address,
            refused,
            "refusing connections: as many as the setting allows are open; probes are answered"
        );
    }
}

/// Held by a connection while it is open.
pub type Place = Share<Network>;

#[cfg(test)]
mod tests;
