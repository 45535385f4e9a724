//! Bounds the concurrent lists of one organization.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::OrganizationId;
use crate::error::{Error, Kind, Result, reason};

/// `None`: lists of objects that belong to no organization.
type Scope = Option<OrganizationId>;

/// The most waiting lists for each list that may run.
const MAX_WAITING_PER_RUNNING: usize = 16;

/// How long a list waits; also the time after which a rejected client should retry.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Bounds the running and the waiting lists of each organization. A list may read very many
/// rows: the lists of one organization must not use up the resources that all
/// organizations share.
#[derive(Debug)]
pub(super) struct ConcurrentLists {
    /// `None`: no limit.
    max_running: Option<NonZeroUsize>,
    /// Contains only scopes with running or waiting lists.
    queues: Arc<Mutex<HashMap<Scope, Queue>>>,
    rejected: AtomicU64,
}

#[derive(Debug)]
struct Queue {
    /// Running and waiting lists.
    length: usize,
    permits: Arc<Semaphore>,
}

/// Permission to run one list; dropping it lets the next list run.
#[derive(Debug)]
pub struct ListPermit {
    _held: Option<(OwnedSemaphorePermit, QueueEntry)>,
}

impl ConcurrentLists {
    pub(super) fn new(max_running: u32) -> Self {
        let max_running = NonZeroUsize::new(usize::try_from(max_running).unwrap_or(usize::MAX));
        Self { max_running, queues: Arc::default(), rejected: AtomicU64::new(0) }
    }

    /// Waits until the list may run, at most [`MAX_WAIT`].
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if the queue is full or the wait takes too long.
    pub(super) async fn acquire(&self, scope: Scope) -> Result<ListPermit> {
        let Some(max_running) = self.max_running.map(NonZeroUsize::get) else {
            return Ok(ListPermit { _held: None });
        };
        let queued = self.enqueue(scope, max_running);
        let (entry, permits) = queued.ok_or_else(|| self.too_many())?;
        let permit = tokio::time::timeout(MAX_WAIT, permits.acquire_owned()).await;
        let permit = permit.map_err(|_| self.too_many())?.map_err(Error::internal)?;
        Ok(ListPermit { _held: Some((permit, entry)) })
    }

    /// The number of rejected lists.
    pub(super) fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    fn too_many(&self) -> Error {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        Error::new(
            Kind::ResourceExhausted,
            "too many lists of this organization at a time; try again later",
        )
        .with_reason(reason::RATE_LIMITED)
        .with_retry_after(MAX_WAIT)
    }

    /// `None` if the queue is full.
    fn enqueue(&self, scope: Scope, max_running: usize) -> Option<(QueueEntry, Arc<Semaphore>)> {
        let mut queues = locked(&self.queues);
        let queue = queues.entry(scope).or_insert_with(|| Queue {
            length: 0,
            permits: Arc::new(Semaphore::new(max_running.min(Semaphore::MAX_PERMITS))),
        });
        if queue.length >= max_running.saturating_mul(1 + MAX_WAITING_PER_RUNNING) {
            return None;
        }
        queue.length += 1;
        let permits = Arc::clone(&queue.permits);
        Some((QueueEntry { scope, queues: Arc::clone(&self.queues) }, permits))
    }
}

/// One running or waiting list; dropping it removes it from its queue.
#[derive(Debug)]
struct QueueEntry {
    scope: Scope,
    queues: Arc<Mutex<HashMap<Scope, Queue>>>,
}

impl Drop for QueueEntry {
    fn drop(&mut self) {
        let mut queues = locked(&self.queues);
        if let Some(queue) = queues.get_mut(&self.scope) {
            queue.length -= 1;
            if queue.length == 0 {
                queues.remove(&self.scope);
            }
        }
    }
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use futures_util::future::join_all;
    use futures_util::poll;

    fn organization() -> Scope {
        Some(OrganizationId::generate(Timestamp::from_micros(0)))
    }

    #[tokio::test(start_paused = true)]
    async fn p42_each_organization_has_its_own_limit_of_concurrent_lists() {
        let lists = ConcurrentLists::new(2);
        let (large, other) = (organization(), organization());
        let first = lists.acquire(large).await.unwrap();
        let _second = lists.acquire(large).await.unwrap();
        let mut third = Box::pin(lists.acquire(large));
        assert!(poll!(third.as_mut()).is_pending());
        lists.acquire(other).await.unwrap();
        drop(first);
        third.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn p42_waiting_lists_are_limited_in_number_and_time() {
        let lists = ConcurrentLists::new(1);
        let large = organization();
        let held = lists.acquire(large).await.unwrap();
        let mut waiting: Vec<_> =
            (0..MAX_WAITING_PER_RUNNING).map(|_| Box::pin(lists.acquire(large))).collect();
        for turn in &mut waiting {
            assert!(poll!(turn).is_pending());
        }
        // One more is rejected immediately; the waiting ones after MAX_WAIT.
        let mut one_more = Box::pin(lists.acquire(large));
        assert!(poll!(one_more.as_mut()).is_ready());
        for refused in join_all(waiting).await {
            let error = refused.unwrap_err();
            assert_eq!((error.kind, error.reason), (Kind::ResourceExhausted, "RATE_LIMITED"));
            assert_eq!(error.retry_after, Some(MAX_WAIT));
        }
        drop(held);
        lists.acquire(large).await.unwrap();
        assert!(locked(&lists.queues).is_empty(), "empty queues are removed");
    }

    #[tokio::test]
    async fn a_cancelled_wait_frees_its_place() {
        let lists = ConcurrentLists::new(1);
        let large = organization();
        let held = lists.acquire(large).await.unwrap();
        for _ in 0..10 * MAX_WAITING_PER_RUNNING {
            assert!(poll!(Box::pin(lists.acquire(large)).as_mut()).is_pending());
        }
        drop(held);
        lists.acquire(large).await.unwrap();
    }

    #[tokio::test]
    async fn without_a_limit_nothing_is_counted() {
        let lists = ConcurrentLists::new(0);
        let turns = join_all((0..1000).map(|_| lists.acquire(organization()))).await;
        assert!(turns.iter().all(Result::is_ok));
    }
}
