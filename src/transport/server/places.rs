//! How many connections there may be at a time: altogether, and of one network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::counters::{Counters, Refusal};
use crate::config::Http;
use crate::domain::Network;

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
    connections: Arc<Places>,
    probes: Arc<Places>,
    /// Connections of these count for no network: many clients come through each.
    trusted_proxies: Vec<Network>,
    counters: Counters,
    refused_since_told: u64,
    told: Option<Instant>,
}

impl Admission {
    /// As many as `settings` say.
    pub fn new(settings: &Http, counters: Counters) -> Self {
        let bound = Bound {
            all: settings.max_connections,
            of_one_network: settings.connections_per_network(),
        };
        Self {
            connections: Places::new(bound),
            probes: Places::new(Bound { all: PROBES, of_one_network: PROBES_OF_ONE_NETWORK }),
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
            Err(refusal) => {
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

#[derive(Debug, Clone, Copy)]
struct Bound {
    all: usize,
    of_one_network: usize,
}

/// A number of places, of which one network has no more than its share.
struct Places {
    bound: Bound,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    networks: HashMap<Network, usize>,
}

impl Places {
    fn new(bound: Bound) -> Arc<Self> {
        Arc::new(Self { bound, taken: Mutex::default() })
    }

    /// Takes one; without a network it counts for none.
    fn take(self: &Arc<Self>, network: Option<Network>) -> Result<Place, Refusal> {
        let mut taken = self.taken();
        if taken.all >= self.bound.all {
            return Err(Refusal::All);
        }
        if let Some(network) = network {
            let of_network = taken.networks.entry(network).or_default();
            // One that has none yet is below every bound: no entry of zero stays.
            if *of_network >= self.bound.of_one_network {
                return Err(Refusal::Network);
            }
            *of_network += 1;
        }
        taken.all += 1;
        Ok(Place { places: Arc::clone(self), network })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by a connection while it is open.
pub struct Place {
    places: Arc<Places>,
    network: Option<Network>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        let Some(network) = self.network else { return };
        if let Some(of_network) = taken.networks.get_mut(&network) {
            *of_network -= 1;
            if *of_network == 0 {
                taken.networks.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests;
