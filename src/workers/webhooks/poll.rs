//! Finds the endpoints that have new events.

use std::collections::HashMap;

use crate::domain::{FeedPlace, OrganizationId, Timestamp, WebhookId};
use crate::error::Result;
use crate::storage::events::EventHead;
use crate::storage::webhook_turns::{self, Endpoint};
use crate::storage::{Db, Store, change, events, webhooks};

/// The number of events or endpoints that are read at once.
const PAGE: u64 = 500;
/// The number of endpoints that are read at once to find one that accepts events.
const FEW: u64 = 32;
/// The most events of one poll; the next poll continues.
const MAX_EVENTS: u64 = 10_000;

/// How far this process has read the feed.
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// `None`: it has read nothing, or at the last poll no enabled endpoint accepted events.
    seen: Option<FeedPlace>,
    /// Endpoints with the place of their newest event, until they are made due or their cursor has
    /// passed it. A claimed endpoint stays here: its worker may not have read the event.
    candidates: HashMap<WebhookId, FeedPlace>,
}

impl Feed {
    /// Makes the endpoints that have new events due.
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

    /// Checks every enabled endpoint for events after its cursor, which may be from an earlier
    /// time.
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

    /// Finds the endpoints of the events after `seen`.
    async fn read_events(
        &mut self,
        store: &Store,
        mut seen: FeedPlace,
        newest: FeedPlace,
    ) -> Result<()> {
        let db = store.read();
        let mut read = 0;
        while seen < newest && read < MAX_EVENTS {
            // Only the heads of the events, since this runs every second, concurrently with
            // requests.
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
            // Stored at once, so that after a later error these events are not read again.
            self.seen = Some(seen);
        }
        Ok(())
    }

    /// Makes the candidates due, except those that are claimed or accept nothing.
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
            // An endpoint that accepts nothing becomes due only by time.
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

/// Whether any enabled endpoint accepts events. An endpoint that accepts nothing becomes due only
/// by time.
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

/// Whether an endpoint must handle an event.
fn is_for(endpoint: &Endpoint, event: &EventHead) -> bool {
    let webhook = &endpoint.webhook;
    let is_its = webhook.organization.is_none() || webhook.organization == event.organization;
    // The last event of an organization causes the deletion of its endpoints, even if they do not
    // take events of its type.
    is_its && (webhook.takes(&event.action) || endpoint.organization_deleted)
}
