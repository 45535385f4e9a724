//! Stores the end of expired memberships. An expired membership has no effect even before that:
//! every use compares its end with the time of the request.
//!
//! The worker or the next change of the organization, whichever runs first, ends the expired
//! memberships. Both hold the organization's lock, so each membership ends once, with one event.

use std::collections::HashMap;

use super::departure::{grant_ended, invites_ended};
use crate::domain::{
    Action, Actor, EndReason, Ending, EventData, InviteData, Member, MemberData, MemberId,
    MemberStatus, Organization, OrganizationId, Timestamp,
};
use crate::error::{Error, Kind, Result};
use crate::operations::invites::event as invite_event;
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::{Connection, Store, Tx, change, grants, invites, members, organizations};

/// The most memberships that the worker ends in one transaction. Other changes wait for the
/// transaction, so it must be short.
const MAX_PER_CHANGE: u64 = 500;

/// No limit: the largest number that both databases accept.
const ALL: u64 = i64::MAX.unsigned_abs();

/// The result of [`end_expired_members`].
#[derive(Debug, Default)]
pub struct MemberExpiryRun {
    pub ended: usize,
    /// The organizations whose memberships could not be ended, with the errors.
    pub failed: Vec<(OrganizationId, Error)>,
}

/// Ends every expired membership in all organizations; reads at most `batch` organizations at a
/// time. A failure for one organization does not stop the others.
///
/// # Errors
/// If the store cannot be read; memberships that were ended before the error stay ended.
pub async fn end_expired_members(
    store: &Store,
    now: Timestamp,
    batch: u64,
) -> Result<MemberExpiryRun> {
    let mut run = MemberExpiryRun::default();
    let mut last = None;
    loop {
        let page = organizations::with_due_members(store.read(), now, last, batch).await?;
        if page.is_empty() {
            return Ok(run);
        }
        for due in page {
            last = Some(due);
            match end_in(store, due.id, now).await {
                Ok(ended) => run.ended += ended,
                Err(error) => {
                    let waited = error.kind == Kind::Unavailable;
                    run.failed.push((due.id, error));
                    if waited {
                        // If the whole store fails, the next read returns the error.
                        break;
                    }
                }
            }
        }
    }
}

async fn end_in(store: &Store, id: OrganizationId, now: Timestamp) -> Result<usize> {
    let mut all = 0;
    loop {
        let end = change!(async move |tx: &Tx| {
            match organizations::lock(tx, id).await? {
                Some(mut organization) => {
                    end_at_most(tx, &mut organization, MAX_PER_CHANGE, now).await
                }
                None => Ok(0),
            }
        });
        let ended = store.write_in(id, end).await?;
        all += ended;
        if u64::try_from(ended).unwrap_or(u64::MAX) < MAX_PER_CHANGE {
            return Ok(all);
        }
    }
}

/// Locks an organization and ends its expired memberships.
pub(in crate::operations) async fn lock_and_end_due(
    tx: &Tx,
    id: OrganizationId,
    now: Timestamp,
) -> Result<Option<Organization>> {
    let Some(mut organization) = organizations::lock(tx, id).await? else { return Ok(None) };
    end_due(tx, &mut organization, now).await?;
    Ok(Some(organization))
}

/// Ends the expired memberships of a locked organization; returns whether there were any. Runs no
/// statement if there are none.
pub(in crate::operations) async fn end_due(
    tx: &Tx,
    organization: &mut Organization,
    now: Timestamp,
) -> Result<bool> {
    Ok(end_at_most(tx, organization, ALL, now).await? > 0)
}

async fn end_at_most(
    tx: &Tx,
    organization: &mut Organization,
    most: u64,
    now: Timestamp,
) -> Result<usize> {
    if !organization.has_due_members(now) {
        return Ok(0);
    }
    // Boxed, because this case is rare and its future would double the size of every change that
    // calls this function.
    Box::pin(end_the_due(tx, organization, most, now)).await
}

async fn end_the_due(
    tx: &Tx,
    organization: &mut Organization,
    most: u64,
    now: Timestamp,
) -> Result<usize> {
    let due = members::due(tx, organization.id, now, most).await?;
    let ids: Vec<MemberId> = due.iter().map(|member| member.id).collect();
    if !due.is_empty() {
        organization.version += 1;
        organization.member_count -= i64::try_from(due.len()).map_err(Error::internal)?;
        members::expire(tx, organization.id, &ids, organization.version).await?;
    }
    organization.next_member_end = members::next_end(tx, organization.id).await?;
    organizations::update(tx, organization).await?;
    let actor = Actor::system("expiry");
    let events = events(tx, organization, &due, &ids, &actor).await?;
    audit_events::append_all(tx, events, now).await?;
    Ok(due.len())
}

/// Ends the grants and invites of members whose membership has expired; returns the audit events of
/// the grants, the invites and the memberships.
async fn events<'a>(
    tx: &Tx,
    organization: &Organization,
    due: &[Member],
    ids: &[MemberId],
    actor: &'a Actor,
) -> Result<Vec<NewEvent<'a>>> {
    let version = organization.at_version();
    let grants = grants::delete_of_members(tx, ids).await?;
    let grants = grants.into_iter().map(|(id, member)| grant_ended(id, member, version, actor));
    let mut events: Vec<_> = grants.collect();
    let ends: HashMap<MemberId, Option<Timestamp>> =
        due.iter().map(|member| (member.id, member.expires_at)).collect();
    let mut numbers: HashMap<MemberId, usize> = HashMap::new();
    let reason = EndReason::InviterGone;
    for (invite, inviter) in invites::live_of(tx, organization.id, ids).await? {
        let Some(at) = ends.get(&inviter).copied().flatten() else { continue };
        invites::end(tx, organization.id, invite, &Ending { at, by: None, reason }).await?;
        let data = InviteData::of_id(invite).ended(reason);
        let note = reason.as_str().to_owned();
        events.push(invite_event(Action::InviteEnded, data, version, actor, note));
        *numbers.entry(inviter).or_default() += 1;
    }
    events.extend(due.iter().map(|member| NewEvent {
        action: Action::MemberExpired,
        data: EventData::Member(MemberData {
            status: MemberStatus::Left,
            ..MemberData::from(member)
        }),
        organization: Some(version),
        actor,
        note: invites_ended(numbers.get(&member.id).copied().unwrap_or_default()),
    }));
    Ok(events)
}

/// The organization with the number of members that it has at `now`, even if the end of some
/// memberships is not stored yet.
pub(in crate::operations) async fn as_counted(
    db: &impl Connection,
    mut organization: Organization,
    now: Timestamp,
) -> Result<Organization> {
    if organization.has_due_members(now) {
        organization.member_count = members::count_at(db, organization.id, now).await?;
    }
    Ok(organization)
}
