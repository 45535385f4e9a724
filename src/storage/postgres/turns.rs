//! Limits the connections that wait for the lock of one organization.
//!
//! The row lock of an organization runs its changes one after another. Further changes wait
//! here, without a connection, so that other organizations have connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// The turns of all organizations with running changes.
pub(super) struct Turns {
    /// The most turns of one organization at a time.
    max: usize,
    of: Mutex<HashMap<Uuid, Arc<Semaphore>>>,
}

/// A turn, which ends when it is dropped.
pub(super) struct Turn {
    organization: Uuid,
    turns: Arc<Turns>,
    of_organization: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// At most `max` turns of each organization at a time.
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, of: Mutex::default() })
    }

    /// Waits for a turn of an organization.
    pub(super) async fn take(self: &Arc<Self>, organization: Uuid) -> Turn {
        let of_organization = {
            let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(of.entry(organization).or_insert_with(|| Arc::new(Semaphore::new(self.max))))
        };
        // Created before the wait: its drop cleans up if the caller stops waiting.
        let mut turn =
            Turn { organization, turns: Arc::clone(self), of_organization, permit: None };
        let waited = Arc::clone(&turn.of_organization).acquire_owned().await;
        // The semaphore is never closed, so this is always a permit.
        turn.permit = waited.ok();
        turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut of = self.turns.of.lock().unwrap_or_else(PoisonError::into_inner);
        // One reference is here and one in the map: no other change waits or has a turn.
        if Arc::strong_count(&self.of_organization) == 2 {
            of.remove(&self.organization);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn p42_an_organization_has_its_turns_and_others_have_theirs() {
        let turns = Turns::new(2);
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = turns.take(one).await;
        let _second = turns.take(one).await;
        let mut third = Box::pin(turns.take(one));
        assert!(third.as_mut().now_or_never().is_none());
        let _others = turns.take(other).await;
        drop(first);
        let third = third.await;
        assert!(third.permit.is_some());
    }

    #[tokio::test]
    async fn nothing_is_kept_of_an_organization_without_changes() {
        let turns = Turns::new(1);
        let one = Uuid::from_u128(1);
        let first = turns.take(one).await;
        let mut given_up = Box::pin(turns.take(one));
        assert!(given_up.as_mut().now_or_never().is_none());
        drop(first);
        drop(given_up);
        assert!(turns.of.lock().unwrap().is_empty());
    }
}
