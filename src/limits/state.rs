//! The state of a counter for each key, in bounded memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;

use crate::domain::{AccountId, EmailAddress, Network, OrganizationId};

/// The most keys of one counter; they take a few megabytes.
const MAX_KEYS: usize = 1 << 16;

/// The key of a counter. Each key has a quota of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    Account(AccountId),
    Organization(OrganizationId),
    Address(EmailAddress),
    Network(Network),
}

/// For each key the time at which its quota is fully replenished (governor's "theoretical
/// arrival time"). Clones share the map.
#[derive(Clone, Default)]
pub struct State(Arc<Mutex<HashMap<Key, Nanos>>>);

impl State {
    /// Moves the time of full replenishment back by `by`.
    pub fn refund(&self, key: &Key, by: Duration) {
        if let Some(at) = self.lock().get_mut(key) {
            *at = at.saturating_sub(by.into());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Nanos>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for State {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut keys = self.lock();
        let before = keys.get(key).copied();
        let (outcome, after) = decide(before)?;
        if before.is_none() && keys.len() >= MAX_KEYS {
            evict_half(&mut keys);
        }
        keys.insert(key.clone(), after);
        Ok(outcome)
    }
}

/// Evicts the half of the keys that will be replenished first, so that the busiest keys stay
/// limited, however many new keys come. Of keys with equal times it evicts only as many as
/// needed for a half.
fn evict_half(keys: &mut HashMap<Key, Nanos>) {
    let mut moments: Vec<Nanos> = keys.values().copied().collect();
    let half = moments.len() / 2;
    let (earlier, median, _) = moments.select_nth_unstable(half);
    let median = *median;
    let mut of_median = half - earlier.iter().filter(|at| **at < median).count();
    keys.retain(|_, at| {
        if *at == median && of_median > 0 {
            of_median -= 1;
            return false;
        }
        *at >= median
    });
}

impl ShrinkableKeyedStateStore<Key> for State {
    fn retain_recent(&self, drop_below: Nanos) {
        self.lock().retain(|_, at| *at > drop_below);
    }

    fn shrink_to_fit(&self) {
        self.lock().shrink_to_fit();
    }

    fn len(&self) -> usize {
        self.lock().len()
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn key(number: usize) -> Key {
        Key::Account(AccountId::from(Uuid::from_u128(number as u128)))
    }

    /// Sets a key's time.
    fn set(state: &State, number: usize, at: u64) {
        let set = |_: Option<Nanos>| Ok::<_, ()>(((), Nanos::from(at)));
        state.measure_and_replace(&key(number), set).unwrap();
    }

    #[test]
    fn the_number_of_keys_is_bounded_and_the_busiest_keys_stay() {
        let state = State::default();
        set(&state, 0, 1_000_000);
        for number in 1..3 * MAX_KEYS {
            set(&state, number, 5);
        }
        assert!(state.len() <= MAX_KEYS);
        assert!(state.lock().contains_key(&key(0)));
        assert!(state.lock().contains_key(&key(3 * MAX_KEYS - 1)));
    }

    #[test]
    fn exactly_half_of_the_keys_are_evicted_at_the_maximum() {
        // The time of each key by its number, and whether it must stay.
        type Case = (fn(usize) -> u64, fn(usize) -> bool);
        let cases: [Case; 3] = [
            (|_| 7, |_| false),
            (|number| 1 + number as u64, |number| number >= MAX_KEYS / 2),
            (|number| if number % 4 == 0 { 9 } else { 7 }, |number| number % 4 == 0),
        ];
        for (moment, must_stay) in cases {
            let state = State::default();
            for number in 0..MAX_KEYS {
                set(&state, number, moment(number));
            }
            assert_eq!(state.len(), MAX_KEYS, "nothing is evicted below the maximum");
            set(&state, 0, moment(0));
            assert_eq!(state.len(), MAX_KEYS, "a known key evicts nothing");
            set(&state, MAX_KEYS, 8);
            assert_eq!(state.len(), MAX_KEYS / 2 + 1);
            let keys = state.lock();
            assert!(keys.contains_key(&key(MAX_KEYS)));
            for number in (0..MAX_KEYS).filter(|number| must_stay(*number)) {
                assert!(keys.contains_key(&key(number)), "{number}");
            }
        }
    }

    #[test]
    fn only_replenished_keys_are_removed() {
        let state = State::default();
        for (number, at) in [(1, 99), (2, 100), (3, 101)] {
            set(&state, number, at);
        }
        state.retain_recent(Nanos::from(100));
        let keys = state.lock();
        let kept: Vec<bool> = (1..=3).map(|number| keys.contains_key(&key(number))).collect();
        assert_eq!(kept, [false, false, true]);
    }

    #[test]
    fn a_rejected_request_adds_no_key() {
        let state = State::default();
        let refuse = |_: Option<Nanos>| Err::<((), Nanos), _>(());
        state.measure_and_replace(&key(1), refuse).unwrap_err();
        assert!(state.is_empty());
    }
}
