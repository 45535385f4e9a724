//! A bounded number of places, of which one owner, such as a client network, has no more
//! than its share.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// See the module. Clones share the places.
pub struct Shares<K: Eq + Hash>(Arc<Inner<K>>);

struct Inner<K> {
    total: usize,
    per_owner: usize,
    taken: Mutex<Taken<K>>,
}

/// Never more owners than places, since an owner without a place is removed.
struct Taken<K> {
    total: usize,
    by_owner: HashMap<K, usize>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// All are taken.
    Total,
    /// The owner has its share.
    Owner,
}

/// One place, until it is dropped.
pub struct Share<K: Eq + Hash> {
    of: Arc<Inner<K>>,
    owner: Option<K>,
}

impl<K: Eq + Hash + Copy> Shares<K> {
    /// `total` places, of which one owner has `per_owner` at most.
    pub fn new(total: usize, per_owner: usize) -> Self {
        let taken = Mutex::new(Taken { total: 0, by_owner: HashMap::new() });
        Self(Arc::new(Inner { total, per_owner, taken }))
    }

    /// A place for `owner`. Without an owner it counts for the total alone.
    ///
    /// # Errors
    /// If the places or the owner's share of them are taken.
    pub fn take(&self, owner: Option<K>) -> Result<Share<K>, Full> {
        let inner = &self.0;
        let mut taken = inner.taken();
        if taken.total >= inner.total {
            return Err(Full::Total);
        }
        if let Some(owner) = owner {
            if taken.by_owner.get(&owner).is_some_and(|of_owner| *of_owner >= inner.per_owner) {
                return Err(Full::Owner);
            }
            *taken.by_owner.entry(owner).or_default() += 1;
        }
        taken.total += 1;
        Ok(Share { of: Arc::clone(inner), owner })
    }
}

impl<K> Inner<K> {
    fn taken(&self) -> MutexGuard<'_, Taken<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Clone for Shares<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        taken.total -= 1;
        let Some(owner) = &self.owner else { return };
        if let Some(of_owner) = taken.by_owner.get_mut(owner) {
            *of_owner -= 1;
            if *of_owner == 0 {
                taken.by_owner.remove(owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Network;

    fn network(number: u8) -> Option<Network> {
        Some(Network::of([192, 0, 2, number].into()))
    }

    #[test]
    fn p41_one_network_gets_its_share_and_all_get_the_total() {
        let shares = Shares::new(8, 2);
        let mut held = Vec::new();
        for number in 0..4 {
            held.extend([network(number); 2].map(|network| shares.take(network).ok().unwrap()));
            let full = if number < 3 { Full::Owner } else { Full::Total };
            assert_eq!(shares.take(network(number)).err(), Some(full));
        }
        assert_eq!(shares.take(network(9)).err(), Some(Full::Total));
        held.remove(0);
        assert_eq!(shares.take(network(1)).err(), Some(Full::Owner), "its share is taken");
        held.push(shares.take(network(9)).ok().unwrap());
        assert_eq!(held.len(), 8);
        held.clear();
        let all: Vec<_> = (0..8).map(|_| shares.take(None)).collect();
        assert!(all.iter().all(Result::is_ok), "nobody's share");
        assert_eq!(shares.take(None).err(), Some(Full::Total));
    }

    #[test]
    fn what_is_given_back_is_forgotten() {
        let shares = Shares::new(1, 1);
        for number in 0..100 {
            assert!(shares.take(network(number)).is_ok());
        }
        assert!(shares.take(None).is_ok());
        let taken = shares.0.taken();
        assert_eq!((taken.total, taken.by_owner.len()), (0, 0));
    }
}
