//! Answers of which nothing is wanted but that they are good.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use sea_orm::DbErr;

use super::connection::Coming;

/// Answers to come, oldest first. The connection hands on an answer only after those
/// before it were taken, so one that nobody reads holds up those behind it.
#[derive(Default)]
pub(super) struct Unread {
    coming: VecDeque<Coming>,
    /// The first failure among those read.
    failed: Option<DbErr>,
}

impl Unread {
    pub(super) fn push(&mut self, answer: Coming) {
        self.coming.push_back(answer);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.coming.is_empty()
    }

    /// Reads them all; the first failure is the answer.
    pub(super) async fn read(mut self) -> Result<(), DbErr> {
        poll_fn(|cx| self.poll(cx)).await;
        self.failed.map_or(Ok(()), Err)
    }

    /// Reads them while something else is waited for.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            let done = work.as_mut().poll(cx);
            // Whether any is left is of no matter: it stays here.
            let _ = self.poll(cx);
            done
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(first) = self.coming.front_mut() {
            let answered = ready!(first.as_mut().poll(cx));
            self.coming.pop_front();
            if let Err(error) = answered {
                self.failed.get_or_insert(error);
            }
        }
        Poll::Ready(())
    }
}
