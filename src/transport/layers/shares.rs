//! A bounded number of places, of which one client network gets a quarter at most.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::Network;

/// The part of the places that one network may have: one in so many.
const NETWORKS: usize = 4;

/// See the module. Clones share.
#[derive(Clone)]
pub struct Shares(Arc<Inner>);

struct Inner {
    total: usize,
    per_network: usize,
    taken: Mutex<Taken>,
}

/// Never more entries than places, since an entry without a place is removed.
#[derive(Default)]
struct Taken {
    total: usize,
    by_network: HashMap<Option<Network>, usize>,
}

/// One place, until it is dropped.
pub struct Share {
    of: Arc<Inner>,
    network: Option<Network>,
}

impl Shares {
    /// `total` places.
    pub fn new(total: usize) -> Self {
        let per_network = total.div_ceil(NETWORKS);
        Self(Arc::new(Inner { total, per_network, taken: Mutex::default() }))
    }

    /// A place for a request from `network`, if one is free for it. Requests whose
    /// network is not known count as one network.
    pub fn take(&self, network: Option<Network>) -> Option<Share> {
        let inner = &self.0;
        let mut taken = inner.taken();
        if taken.total >= inner.total {
            return None;
        }
        let of_network = taken.by_network.entry(network).or_default();
        if *of_network >= inner.per_network {
            return None;
        }
        *of_network += 1;
        taken.total += 1;
        drop(taken);
        Some(Share { of: Arc::clone(inner), network })
    }
}

impl Inner {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        taken.total = taken.total.saturating_sub(1);
        if let Entry::Occupied(mut entry) = taken.by_network.entry(self.network) {
            *entry.get_mut() = entry.get().saturating_sub(1);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(number: u8) -> Option<Network> {
        Some(Network::of([192, 0, 2, number].into()))
    }

    #[test]
    fn p41_one_network_gets_a_quarter_and_all_get_the_total() {
        let shares = Shares::new(8);
        let mut held = Vec::new();
        for number in 0..4 {
            held.extend([network(number); 2].map(|network| shares.take(network).expect("a place")));
            assert!(shares.take(network(number)).is_none());
        }
        assert!(shares.take(network(9)).is_none());
        held.remove(0);
        assert!(shares.take(network(1)).is_none(), "its share is taken");
        held.extend(shares.take(network(9)));
        assert_eq!(held.len(), 8);
    }

    #[test]
    fn what_is_given_back_is_forgotten() {
        let shares = Shares::new(1);
        for number in 0..100 {
            assert!(shares.take(network(number)).is_some());
        }
        assert!(shares.take(None).is_some());
        let taken = shares.0.taken();
        assert_eq!((taken.total, taken.by_network.len()), (0, 0));
    }
}
