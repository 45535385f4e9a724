//! Finds the endpoints that have new events.

use std::collections::HashMap;

use crate::domain::{FeedPlace, OrganizationId, Timestamp, WebhookId};
use crate::error::Result;
use crate::storage::events::EventHead;
use crate::storage::webhook_turns::{self, Endpoint};
use crate::storage::{Db, Store, change, events, webhooks};

/// The events or endpoints that are read at once.
const PAGE: u64 = 500;
/// Endpoints that are read at once to find one that accepts events.
const FEW: u64 = 32;
/// The most events of one poll; the next one goes on.
const MAX_EVENTS: u64 = 10_000;

/// How far this process has read the feed.
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// `None`: not at all, or no endpoint was enabled and accepting events.
    seen: Option<FeedPlace>,
    /// Endpoints with their last event, until a worker has claimed them after it. One that is
    /// claimed when its event arrives may not have seen the event.
    candidates: HashMap<WebhookId, FeedPlace>,
}

impl Feed {
    /// Makes the endpoints due that have new events.
    pub(super) async fn poll(&mut self, store: &Store, now: Timestamp) -> Result<()> {
        let db = store.read();
        if !is_any_accepting(db).await? {
            *self = Self::default();
            return Ok(());
        }
        if let Some(newest) = events::newest(db).await? {
            match self.seen {
                Some(seen) => self.read_events(store, seen, newest.place).await?,
                None => self.look_at_all(store, newest.place).await?,
            }
        }
        self.wake(store, now).await
    }

    /// Looks at every enabled endpoint: it may have events from before.
    async fn look_at_all(&mut self, store: &Store, newest: FeedPlace) -> Result<()> {
        let db = store.read();
        let mut after = None;
        loop {
            let endpoints = webhook_turns::enabled(db, after, PAGE).await?;
            let Some(last) = endpoints.last() else { break };
            after = Some(last.webhook.id);
            for endpoint in endpoints {
                let organization = endpoint.webhook.organization;
                let cursor = Some(endpoint.cursor);
                if !events::between(db, organization, cursor, newest, 1).await?.is_empty() {
                    self.candidates.insert(endpoint.webhook.id, newest);
                }
            }
        }
        self.seen = Some(newest);
        Ok(())
    }

    /// Finds the endpoints of the events behind `seen`.
    async fn read_events(
        &mut self,
        store: &Store,
        mut seen: FeedPlace,
        newest: FeedPlace,
    ) -> Result<()> {
        let db = store.read();
        let mut read = 0;
        while seen < newest && read < MAX_EVENTS {
            // Only their heads: this runs every second, beside the calls.
            let heads = events::heads_between(db, seen, newest, PAGE).await?;
            let Some(last) = heads.last() else { break };
            let last = last.place;
            read += PAGE;
            let mut organizations: Vec<OrganizationId> =
                heads.iter().filter_map(|event| event.organization).collect();
            organizations.sort_unstable();
            organizations.dedup();
            let mut endpoints = webhook_turns::enabled_of(db, &organizations).await?;
            endpoints.extend(webhook_turns::enabled_of_deployment(db).await?);
            for endpoint in endpoints {
                let its = heads.iter().rev().find(|event| is_for(&endpoint, event));
                if let Some(event) = its {
                    self.candidates.insert(endpoint.webhook.id, event.place);
                }
            }
            seen = last;
            // Stored at once: an error later does not repeat what is done.
            self.seen = Some(seen);
        }
        Ok(())
    }

    /// Makes the candidates due that no worker has claimed.
    async fn wake(&mut self, store: &Store, now: Timestamp) -> Result<()> {
        if self.candidates.is_empty() {
            return Ok(());
        }
        let ids: Vec<WebhookId> = self.candidates.keys().copied().collect();
        let found = webhook_turns::enabled_among(store.read(), &ids).await?;
        let mut remaining = HashMap::new();
        let mut due = Vec::new();
        for endpoint in found {
            let id = endpoint.webhook.id;
            let Some(place) = self.candidates.get(&id) else { continue };
            if endpoint.cursor >= *place {
                continue;
            }
            // One that accepts nothing is due by time alone.
            if endpoint.is_claimed || endpoint.webhook.first_failure_at.is_some() {
                remaining.insert(id, *place);
            } else {
                due.push(id);
            }
        }
        for some in due.chunks(500) {
            let some = some.to_vec();
            let woken = change!(async move |tx| webhooks::wake(tx, &some, now).await);
            store.write(woken).await?;
        }
        self.candidates = remaining;
        Ok(())
    }
}

/// Whether any enabled endpoint accepts events. One that accepts nothing is due by time alone.
async fn is_any_accepting(db: &Db) -> Result<bool> {
    let (mut after, mut limit) = (None, 1);
    loop {
        let endpoints = webhook_turns::enabled(db, after, limit).await?;
        let Some(last) = endpoints.last() else { return Ok(false) };
        if endpoints.iter().any(|endpoint| endpoint.webhook.first_failure_at.is_none()) {
            return Ok(true);
        }
        (after, limit) = (Some(last.webhook.id), FEW);
    }
}

/// Whether an endpoint must look at an event.
fn is_for(endpoint: &Endpoint, event: &EventHead) -> bool {
    let webhook = &endpoint.webhook;
    let is_its = webhook.organization.is_none() || webhook.organization == event.organization;
    // The last event of an organization ends its endpoints, whatever they take.
    is_its && (webhook.takes(&event.action) || endpoint.organization_deleted)
}
