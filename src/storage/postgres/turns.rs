//! How many connections may wait for one organization's lock.
//!
//! A row lock lets one change in at a time. Those behind it wait here, without a
//! connection, so that others have connections for their changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// The turns of all organizations that have a change under way.
pub(super) struct Turns {
    /// Of one organization, at a time.
    most: usize,
    of: Mutex<HashMap<Uuid, Arc<Semaphore>>>,
}

/// A turn, until it is dropped.
pub(super) struct Turn {
    organization: Uuid,
    turns: Arc<Turns>,
    of_organization: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// At most that many for each organization.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, of: Mutex::default() })
    }

    /// Waits for a turn of an organization.
    pub(super) async fn take(self: &Arc<Self>, organization: Uuid) -> Turn {
        let of_organization = {
            let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(
                of.entry(organization).or_insert_with(|| Arc::new(Semaphore::new(self.most))),
            )
        };
        // Made before the wait: it tidies up even if the wait is given up.
        let mut turn =
            Turn { organization, turns: Arc::clone(self), of_organization, permit: None };
        let waited = Arc::clone(&turn.of_organization).acquire_owned().await;
        // Never closed, so there is always one.
        turn.permit = waited.ok();
        turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut of = self.turns.of.lock().unwrap_or_else(PoisonError::into_inner);
        // One is here, one in the map: nobody else waits or has a turn.
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
