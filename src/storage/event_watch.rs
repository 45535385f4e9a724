//! Notifies waiting readers of new events. A process has one poll, for any number of readers.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};
use tokio::time::{sleep, timeout};

use super::connection::Db;
use super::events;
use crate::domain::{FeedPlace, OrganizationId};
use crate::error::Result;

/// The time between two polls without a commit of this process.
const INTERVAL: Duration = Duration::from_millis(100);
/// The time from a commit of this process to the next poll: several commits within this time cause
/// one poll.
const AFTER_COMMIT: Duration = Duration::from_millis(5);
/// The pause after a poll that has failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// If there are more new events than this, the poll wakes all readers.
const MAX_LOOKED_AT: u64 = 1_000;
/// If a reader has missed the results of more polls than this, it reads the feed without checking
/// them.
const MAX_BEHIND: usize = 16;

/// The poll of a store. It runs while there are followers.
pub(super) struct EventWatch {
    news: broadcast::Sender<Arc<NewEvents>>,
    committed: Notify,
    is_polling: Mutex<bool>,
    /// The same as `is_polling` without a lock, for commits.
    has_followers: AtomicBool,
}

/// The organizations of new events; a `None` in the set means events outside of organizations.
enum NewEvents {
    Of(HashSet<Option<OrganizationId>>),
    Unknown,
}

/// Follows the events of a store.
pub struct EventFollower(broadcast::Receiver<Arc<NewEvents>>);

impl EventWatch {
    pub(super) fn new() -> Self {
        Self {
            news: broadcast::channel(MAX_BEHIND).0,
            committed: Notify::new(),
            is_polling: Mutex::new(false),
            has_followers: AtomicBool::new(false),
        }
    }

    /// Wakes the poll after a commit of this process.
    pub(super) fn committed(&self) {
        if self.has_followers.load(Ordering::Relaxed) {
            self.committed.notify_one();
        }
    }

    /// Follows the events that become readable from now on.
    pub(super) fn follow(self: &Arc<Self>, db: &Db) -> EventFollower {
        let mut is_polling = self.is_polling.lock().unwrap_or_else(PoisonError::into_inner);
        let follower = EventFollower(self.news.subscribe());
        if !*is_polling {
            *is_polling = true;
            self.has_followers.store(true, Ordering::Relaxed);
            tokio::spawn(Arc::clone(self).poll(db.clone()));
        }
        follower
    }

    /// Whether the poll ends because there is no follower.
    fn ends(&self) -> bool {
        let mut is_polling = self.is_polling.lock().unwrap_or_else(PoisonError::into_inner);
        *is_polling = self.news.receiver_count() > 0;
        self.has_followers.store(*is_polling, Ordering::Relaxed);
        !*is_polling
    }

    async fn poll(self: Arc<Self>, db: Db) {
        let mut last = None;
        // A reader may have read the feed before the first poll, so the first poll wakes all
        // readers.
        let mut is_first = true;
        while !self.ends() {
            let news = match look(&db, &mut last).await {
                Ok(None) if !is_first => None,
                Ok(_) if is_first => Some(NewEvents::Unknown),
                Ok(news) => news,
                Err(error) => {
                    // All readers read the feed, and return the error that they get.
                    tracing::debug!(?error, "cannot look for new events; trying again");
                    sleep(AFTER_FAILURE).await;
                    Some(NewEvents::Unknown)
                }
            };
            is_first = false;
            if let Some(news) = news {
                // An error means that the last follower was just dropped.
                let (Ok(_) | Err(_)) = self.news.send(Arc::new(news));
            }
            if timeout(INTERVAL, self.committed.notified()).await.is_ok() {
                sleep(AFTER_COMMIT).await;
            }
        }
    }
}

/// Looks for events after `last`, and sets `last` to the newest event; returns `None` if there are
/// none.
async fn look(db: &Db, last: &mut Option<FeedPlace>) -> Result<Option<NewEvents>> {
    let newest = events::newest(db).await?.map(|event| event.place);
    let (Some(until), after) = (newest, *last) else { return Ok(None) };
    if newest <= after {
        return Ok(None);
    }
    let organizations = match after {
        Some(after) => events::organizations_between(db, after, until, MAX_LOOKED_AT).await?,
        None => None,
    };
    *last = newest;
    Ok(Some(organizations.map_or(NewEvents::Unknown, NewEvents::Of)))
}

impl EventFollower {
    /// Returns when there may be new events of this organization, or with `None` of any.
    pub async fn changed(&mut self, organization: Option<OrganizationId>) {
        loop {
            match self.0.recv().await {
                Ok(news) if !news.concern(organization) => {}
                // The channel is not closed: the poll, which holds the sender, ends only after its
                // last follower. An error means that this follower has missed too many polls.
                Ok(_) | Err(_) => return,
            }
        }
    }
}

impl NewEvents {
    fn concern(&self, organization: Option<OrganizationId>) -> bool {
        match (self, organization) {
            (NewEvents::Of(organizations), Some(_)) => organizations.contains(&organization),
            _ => true,
        }
    }
}
