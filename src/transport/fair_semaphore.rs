//! A semaphore that limits each owner, such as a client network, to a share of the permits.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Clones share the permits.
pub struct FairSemaphore<K: Eq + Hash>(Arc<Inner<K>>);

struct Inner<K> {
    total: usize,
    per_owner: usize,
    taken: Mutex<Taken<K>>,
}

/// The permits in use. There are never more owners than permits: an owner without one is removed.
struct Taken<K> {
    total: usize,
    by_owner: HashMap<K, usize>,
}

/// The reason why no permit is available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// All permits are taken.
    Total,
    /// The owner has its full share.
    Owner,
}

/// One permit, which is released when this value is dropped.
pub struct FairPermit<K: Eq + Hash> {
    of: Arc<Inner<K>>,
    owner: Option<K>,
}

impl<K: Eq + Hash + Copy> FairSemaphore<K> {
    /// `total` permits, of which one owner gets at most `per_owner`.
    pub fn new(total: usize, per_owner: usize) -> Self {
        let taken = Mutex::new(Taken { total: 0, by_owner: HashMap::new() });
        Self(Arc::new(Inner { total, per_owner, taken }))
    }

    /// A permit for `owner`. Without an owner it counts against the total only.
    ///
    /// # Errors
    /// If all permits or the share of the owner are taken.
    pub fn try_acquire(&self, owner: Option<K>) -> Result<FairPermit<K>, Full> {
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
        Ok(FairPermit { of: Arc::clone(inner), owner })
    }
}

impl<K> Inner<K> {
    fn taken(&self) -> MutexGuard<'_, Taken<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Clone for FairSemaphore<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Eq + Hash> Drop for FairPermit<K> {
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
        let semaphore = FairSemaphore::new(8, 2);
        let mut held = Vec::new();
        for number in 0..4 {
            held.extend(
                [network(number); 2].map(|network| semaphore.try_acquire(network).ok().unwrap()),
            );
            let full = if number < 3 { Full::Owner } else { Full::Total };
            assert_eq!(semaphore.try_acquire(network(number)).err(), Some(full));
        }
        assert_eq!(semaphore.try_acquire(network(9)).err(), Some(Full::Total));
        held.remove(0);
        assert_eq!(
            semaphore.try_acquire(network(1)).err(),
            Some(Full::Owner),
            "the owner has its full share"
        );
        held.push(semaphore.try_acquire(network(9)).ok().unwrap());
        assert_eq!(held.len(), 8);
        held.clear();
        let all: Vec<_> = (0..8).map(|_| semaphore.try_acquire(None)).collect();
        assert!(all.iter().all(Result::is_ok), "no share limits permits without an owner");
        assert_eq!(semaphore.try_acquire(None).err(), Some(Full::Total));
    }

    #[test]
    fn an_owner_without_permits_is_removed() {
        let semaphore = FairSemaphore::new(1, 1);
        for number in 0..100 {
            assert!(semaphore.try_acquire(network(number)).is_ok());
        }
        assert!(semaphore.try_acquire(None).is_ok());
        let taken = semaphore.0.taken();
        assert_eq!((taken.total, taken.by_owner.len()), (0, 0));
    }
}
