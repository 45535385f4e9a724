//! Pending results that are only checked for errors.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use super::connection::PendingResult;
use crate::storage::error::StoreError;

/// Pending results, oldest first. A connection delivers a result only after the earlier ones are
/// read, so an unread result delays the later ones.
#[derive(Default)]
pub(super) struct Unread {
    pending: VecDeque<PendingResult>,
    /// The first failure among those read.
    failed: Option<StoreError>,
}

impl Unread {
    pub(super) fn push(&mut self, result: PendingResult) {
        self.pending.push_back(result);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Reads them all; returns the first failure.
    pub(super) async fn read(mut self) -> Result<(), StoreError> {
        poll_fn(|cx| self.poll(cx)).await;
        self.failed.map_or(Ok(()), Err)
    }

    /// Reads them while `work` runs.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            let done = work.as_mut().poll(cx);
            // Results that have not arrived stay in the queue.
            let _ = self.poll(cx);
            done
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(first) = self.pending.front_mut() {
            let result = ready!(first.as_mut().poll(cx));
            self.pending.pop_front();
            if let Err(error) = result {
                self.failed.get_or_insert(error);
            }
        }
        Poll::Ready(())
    }
}
