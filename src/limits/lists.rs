//! How many lists of one organization run at a time.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::OrganizationId;
use crate::error::{Error, Kind, Result, reason};

/// An organization, or what is outside all of them.
type Place = Option<OrganizationId>;

/// Lists that may wait for each one that runs.
const WAITING_FOR_EACH: usize = 16;

/// How long one waits, and when a refused caller should try again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Lets so many lists of an organization run; as many as wait for them are bounded, too.
/// A list may look at very many rows: those of one organization must not take what all
/// have together.
#[derive(Debug)]
pub(super) struct Lists {
    /// None lets any number run.
    most: Option<NonZeroUsize>,
    /// Only those of which a list runs or waits.
    organizations: Arc<Mutex<HashMap<Place, Turns>>>,
}

#[derive(Debug)]
struct Turns {
    /// Lists that run or wait.
    asked: usize,
    free: Arc<Semaphore>,
}

/// Held by a list as long as it runs.
#[derive(Debug)]
pub struct Turn {
    _held: Option<(OwnedSemaphorePermit, Asked)>,
}

impl Lists {
    pub(super) fn new(most: u32) -> Self {
        let most = NonZeroUsize::new(usize::try_from(most).unwrap_or(usize::MAX));
        Self { most, organizations: Arc::default() }
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self, place: Place) -> Result<Turn> {
        let Some(most) = self.most.map(NonZeroUsize::get) else { return Ok(Turn { _held: None }) };
        let (asked, free) = self.ask(place, most).ok_or_else(too_many)?;
        let permit = tokio::time::timeout(PATIENCE, free.acquire_owned()).await;
        let permit = permit.map_err(|_| too_many())?.map_err(Error::internal)?;
        Ok(Turn { _held: Some((permit, asked)) })
    }

    fn ask(&self, place: Place, most: usize) -> Option<(Asked, Arc<Semaphore>)> {
        let mut organizations = locked(&self.organizations);
        let turns = organizations.entry(place).or_insert_with(|| Turns {
            asked: 0,
            free: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
        });
        if turns.asked >= most.saturating_mul(1 + WAITING_FOR_EACH) {
            return None;
        }
        turns.asked += 1;
        let free = Arc::clone(&turns.free);
        Some((Asked { place, of: Arc::clone(&self.organizations) }, free))
    }
}

/// Counts as one that runs or waits until it is dropped.
#[derive(Debug)]
struct Asked {
    place: Place,
    of: Arc<Mutex<HashMap<Place, Turns>>>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut organizations = locked(&self.of);
        if let Some(turns) = organizations.get_mut(&self.place) {
            turns.asked -= 1;
            if turns.asked == 0 {
                organizations.remove(&self.place);
            }
        }
    }
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

fn too_many() -> Error {
    Error::new(
        Kind::ResourceExhausted,
        "too many lists of this organization at a time; try again later",
    )
    .with_reason(reason::RATE_LIMITED)
    .with_retry_after(PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use futures_util::future::join_all;
    use futures_util::poll;

    fn organization() -> Place {
        Some(OrganizationId::generate(Timestamp::from_micros(0)))
    }

    #[tokio::test(start_paused = true)]
    async fn p42_an_organization_has_so_many_turns_and_others_have_their_own() {
        let lists = Lists::new(2);
        let (large, other) = (organization(), organization());
        let first = lists.turn(large).await.unwrap();
        let _second = lists.turn(large).await.unwrap();
        let mut third = Box::pin(lists.turn(large));
        assert!(poll!(third.as_mut()).is_pending());
        lists.turn(other).await.unwrap();
        drop(first);
        third.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn p42_to_wait_for_a_turn_has_an_end_and_a_bound() {
        let lists = Lists::new(1);
        let large = organization();
        let held = lists.turn(large).await.unwrap();
        let mut waiting: Vec<_> =
            (0..WAITING_FOR_EACH).map(|_| Box::pin(lists.turn(large))).collect();
        for turn in &mut waiting {
            assert!(poll!(turn).is_pending());
        }
        // One more is refused at once; those that wait are when they have waited enough.
        let mut one_more = Box::pin(lists.turn(large));
        assert!(poll!(one_more.as_mut()).is_ready());
        for refused in join_all(waiting).await {
            let error = refused.unwrap_err();
            assert_eq!((error.kind, error.reason), (Kind::ResourceExhausted, "RATE_LIMITED"));
            assert_eq!(error.retry_after, Some(PATIENCE));
        }
        drop(held);
        lists.turn(large).await.unwrap();
        assert!(locked(&lists.organizations).is_empty(), "nobody is remembered");
    }

    #[tokio::test]
    async fn one_that_is_given_up_while_it_waits_leaves_its_place() {
        let lists = Lists::new(1);
        let large = organization();
        let held = lists.turn(large).await.unwrap();
        for _ in 0..10 * WAITING_FOR_EACH {
            assert!(poll!(Box::pin(lists.turn(large)).as_mut()).is_pending());
        }
        drop(held);
        lists.turn(large).await.unwrap();
    }

    #[tokio::test]
    async fn nothing_is_counted_without_a_limit() {
        let lists = Lists::new(0);
        let turns = join_all((0..1000).map(|_| lists.turn(organization()))).await;
        assert!(turns.iter().all(Result::is_ok));
    }
}
