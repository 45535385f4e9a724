//! `guestlist import`: the second reading of a file, which writes.

use std::collections::HashSet;
use std::sync::Arc;

use super::bundle::Bundle;
use super::export::Counts;
use super::lines::{Place, Terms, invitation_id, member_id};
use super::parts::{self, Invitation, Part};
use super::plan::Plan;
use crate::domain::transfer::{
    AccountRecord, InvitationRecord, MemberRecord, OrganizationRecord, Record,
};
use crate::domain::{
    Account, AccountId, Action, Actor, Delivery, Departure, EventData, Invite, InviteKind,
    InviteState, InviteToken, Member, MemberId, Organization, Timestamp,
};
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::operations::invites::seal;
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::change;
use crate::storage::{Store, Tx, accounts, transfer};

/// The most rows of a transaction, each with its event: other changes wait for it.
const MAX_ROWS: usize = 1000;

/// Reads lines of the file again.
pub trait Source {
    /// The record of a line.
    ///
    /// # Errors
    /// If the file cannot be read or has changed.
    fn record(&self, place: Place) -> Result<Record>;

    /// So many of the rows are written.
    ///
    /// # Errors
    /// If that cannot be shown.
    fn progress(&self, written: u64) -> Result<()>;
}

/// Where and how to import.
pub struct Import<'a> {
    pub store: &'a Store,
    pub keyring: &'a Keyring,
    /// Whether imported invitations are sent.
    pub mails: bool,
}

/// Writes what a plan without problems says. Returns how many records were written, and how many
/// were in the store already or were not needed.
///
/// # Errors
/// If a transaction fails; those before it stay, and a repetition of the whole import goes on.
pub async fn import(to: &Import<'_>, plan: &Plan, source: &impl Source) -> Result<(Counts, u64)> {
    let mut run =
        Run { to, plan, source, counts: Counts::default(), skipped: plan.unchanged, done: 0 };
    for places in plan.accounts.chunks(MAX_ROWS) {
        run.accounts(places).await?;
    }
    let mut parts = Vec::new();
    let mut rows = 0;
    for bundle in &plan.organizations {
        let size = 1 + bundle.members.len() + bundle.invitations.len();
        if bundle.own.is_none() || size > MAX_ROWS {
            run.in_chunks(bundle).await?;
            continue;
        }
        if rows + size > MAX_ROWS {
            run.write(std::mem::take(&mut parts)).await?;
            rows = 0;
        }
        rows += size;
        parts.push(run.part(bundle, &bundle.members, &bundle.invitations, 0)?);
    }
    run.write(parts).await?;
    Ok((run.counts, run.skipped))
}

struct Run<'a, S> {
    to: &'a Import<'a>,
    plan: &'a Plan,
    source: &'a S,
    counts: Counts,
    skipped: u64,
    /// The rows that were looked at.
    done: u64,
}

impl<S: Source> Run<'_, S> {
    async fn accounts(&mut self, places: &[Place]) -> Result<()> {
        let now = self.plan.terms.now;
        let mut new = Vec::with_capacity(places.len());
        for place in places {
            match self.source.record(*place)? {
                Record::Account(record) => new.push(account(record, now)),
                _ => return Err(changed()),
            }
        }
        let write = change!(async move |tx: &Tx| {
            let ids: Vec<_> = new.iter().map(|account| account.id).collect();
            let there = transfer::accounts_with_ids(tx, &ids).await?;
            let there: HashSet<AccountId> = there.iter().map(|account| account.id).collect();
            let missing = new.iter().filter(|account| !there.contains(&account.id));
            let missing: Vec<Account> = missing.cloned().collect();
            accounts::insert_all(tx, &missing).await?;
            let actor = Actor::system("command-line");
            let events = missing.iter().map(|account| NewEvent {
                action: Action::AccountCreated,
                data: EventData::Account {
                    id: account.id,
                    kind: account.kind,
                    changed: Vec::new(),
                },
                organization: None,
                actor: &actor,
                note: "imported".to_owned(),
            });
            audit_events::append_all(tx, events.collect(), now).await?;
            Ok(missing.len())
        });
        let written = count(self.to.store.write(write).await?);
        self.counts.accounts += written;
        self.skipped += count(places.len()) - written;
        self.tell(places.len())
    }

    /// Writes an organization that is in the store, or one with many rows.
    async fn in_chunks(&mut self, bundle: &Bundle) -> Result<()> {
        let own = usize::from(bundle.own.is_some());
        let (mut members, mut invitations) = (&bundle.members[..], &bundle.invitations[..]);
        let rows = own + members.len() + invitations.len();
        let mut left = rows.div_ceil(MAX_ROWS);
        let mut room = MAX_ROWS - own;
        let mut is_first = true;
        while is_first || !members.is_empty() || !invitations.is_empty() {
            let (some, others) = members.split_at(members.len().min(room));
            let (more, later) = invitations.split_at(invitations.len().min(room - some.len()));
            (members, invitations, room) = (others, later, MAX_ROWS);
            left = left.saturating_sub(1);
            let mut part = self.part(bundle, some, more, left)?;
            if !is_first {
                part.new = None;
            }
            is_first = false;
            if part.rows() > 0 {
                self.write(vec![part]).await?;
            }
        }
        Ok(())
    }

    async fn write(&mut self, parts: Vec<Part>) -> Result<()> {
        if parts.is_empty() {
            return Ok(());
        }
        let rows = parts.iter().map(Part::rows).sum();
        let (mails, now) = (self.to.mails, self.plan.terms.now);
        let locked = parts.iter().find(|part| part.new.is_none()).map(|part| part.id);
        let parts = Arc::new(parts);
        let write = change!(async move |tx: &Tx| parts::write(tx, &parts, mails, now).await);
        let written = match locked {
            Some(organization) => self.to.store.write_in(organization, write).await?,
            None => self.to.store.write(write).await?,
        };
        self.counts.organizations += written.organizations;
        self.counts.members += written.members;
        self.counts.departures += written.departures;
        self.counts.invitations += written.invitations;
        self.skipped += written.skipped;
        self.tell(rows)
    }

    fn tell(&mut self, rows: usize) -> Result<()> {
        self.done += count(rows);
        self.source.progress(self.done)
    }

    /// Reads rows of an organization. `left`: how many transactions of it come after this one;
    /// each raises its version by one, up to that of the file.
    fn part(
        &self,
        bundle: &Bundle,
        members: &[Place],
        invitations: &[Place],
        left: usize,
    ) -> Result<Part> {
        let Terms { now, .. } = self.plan.terms;
        let mut new = match bundle.own {
            Some(place) => match self.source.record(place)? {
                Record::Organization(record) => Some(self.organization(bundle, record)?),
                _ => return Err(changed()),
            },
            None => None,
        };
        let left = i64::try_from(left).map_err(Error::internal)?;
        let version = new.as_ref().map_or(0, |new| (new.version - left).max(1));
        let mut joined = Vec::with_capacity(members.len());
        for place in members {
            match self.source.record(*place)? {
                Record::Member(record) => {
                    let account = self.plan.account(&record.account).map_err(Error::internal)?;
                    joined.push(member(&record, account, now));
                }
                _ => return Err(changed()),
            }
        }
        let mut invited = Vec::with_capacity(invitations.len());
        for place in invitations {
            match self.source.record(*place)? {
                Record::Invitation(record) => invited.push(self.invitation(record)?),
                _ => return Err(changed()),
            }
        }
        if let Some(new) = &mut new {
            let current = joined.iter().filter(|member| member.departure.is_none()).count();
            new.member_count = i64::try_from(current).map_err(Error::internal)?;
            new.version = version;
        }
        Ok(Part { id: bundle.id, new, version, members: joined, invitations: invited })
    }

    fn organization(&self, bundle: &Bundle, record: OrganizationRecord) -> Result<Organization> {
        let terms = self.plan.terms;
        let creator = match &record.creator {
            Some(key) => self.plan.account(key).map_err(Error::internal)?,
            None => bundle.first_admin.ok_or_else(changed)?,
        };
        let created_at = record.created_at.unwrap_or(terms.now);
        Ok(Organization {
            id: record.id,
            name: record.name,
            invite_domains: record.invite_domains,
            tier: record.tier,
            creator,
            created_at,
            updated_at: record.updated_at.unwrap_or(created_at),
            version: record.version.unwrap_or(1),
            member_count: 0,
            seat_limit: record.seat_limit.unwrap_or(terms.default_seat_limit),
        })
    }

    fn invitation(&self, record: InvitationRecord) -> Result<Invitation> {
        let Terms { now, invitation_lifetime, .. } = self.plan.terms;
        let inviter = match &record.inviter {
            Some(key) => Some(self.plan.account(key).map_err(Error::internal)?),
            None => None,
        };
        let token = InviteToken::generate().map_err(Error::internal)?;
        let invite = Invite {
            id: invitation_id(&record),
            organization: record.organization,
            kind: InviteKind::Email,
            role: record.role,
            content: None,
            email: Some(record.email),
            allowed_domains: Vec::new(),
            sso: record.sso,
            member: Some(record.member.unwrap_or_else(|| MemberId::generate(now))),
            note: record.note,
            // Found when it is written.
            inviter: uuid::Uuid::nil().into(),
            state: InviteState::Live,
            version: record.version.unwrap_or(1),
            expires_at: Some(record.expires_at.unwrap_or_else(|| now.plus(invitation_lifetime))),
            max_uses: Some(1),
            uses: 0,
            created_at: record.created_at.unwrap_or(now),
            ending: None,
            delivery: self.to.mails.then_some(Delivery::Pending),
            requires_approval: false,
        };
        let token = seal(self.to.keyring, &invite, &token)?;
        Ok(Invitation { invite, inviter, hash: token.hash, sealed: token.sealed })
    }
}

fn account(record: AccountRecord, now: Timestamp) -> Account {
    Account {
        id: record.id,
        issuer: record.issuer,
        subject: record.subject,
        kind: record.kind,
        profile: record.profile,
        created_at: record.created_at.unwrap_or(now),
        updated_at: record.updated_at,
    }
}

fn member(record: &MemberRecord, account: AccountId, now: Timestamp) -> Member {
    let departure = record.departure.map(|left| Departure {
        at: left.at,
        removed: left.removed,
        version: left.version.unwrap_or(1),
    });
    Member {
        id: member_id(record, account),
        organization: record.organization,
        account,
        role: record.role,
        status: record.status,
        joined_at: record.joined_at.or(departure.map(|left| left.at)).unwrap_or(now),
        joined_by: record.joined_by,
        invite: None,
        departure,
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn changed() -> Error {
    Error::internal("the file has changed since it was checked")
}
