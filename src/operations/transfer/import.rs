//! `guestlist import`: the second reading of a file, which writes to the store.

use std::collections::HashSet;
use std::sync::Arc;

use super::bundle::Bundle;
use super::export::Counts;
use super::lines::{Place, Terms, invitation_id, member_id};
use super::parts::{self, Invitation, Part};
use super::plan::Plan;
use super::transactions::{Chunk, Lines, transactions};
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

/// Reads lines of the file again.
pub trait Source {
    /// The record of a line.
    ///
    /// # Errors
    /// If the file cannot be read or has changed.
    fn record(&self, place: Place) -> Result<Record>;

    /// Reports that this many rows are written or skipped.
    ///
    /// # Errors
    /// If the progress cannot be shown.
    fn progress(&self, written: u64) -> Result<()>;
}

/// Where and how to import.
pub struct Import<'a> {
    pub store: &'a Store,
    pub keyring: &'a Keyring,
    /// Whether imported invitations are sent.
    pub mails: bool,
}

/// Writes the rows of a plan that has no problems. Returns how many records were written, and how
/// many were in the store already or were not needed.
///
/// # Errors
/// If a transaction fails; those before it stay. If the whole import is repeated, it continues with
/// the missing rows.
pub async fn import(to: &Import<'_>, plan: &Plan, source: &impl Source) -> Result<(Counts, u64)> {
    let reader = Reader { to, plan, source };
    let mut run =
        Run { to, plan, source, counts: Counts::default(), skipped: plan.unchanged, done: 0 };
    let mut transactions = transactions(plan).into_iter();
    let mut read = || transactions.next().map(|one| reader.read(&one)).transpose();
    let mut next = read()?;
    while let Some(rows) = next {
        // While one transaction is written, the lines of the next are read.
        let written = run.write(rows);
        let (written, following) = tokio::join!(written, async { read() });
        written?;
        next = following?;
    }
    Ok((run.counts, run.skipped))
}

/// The rows of a transaction.
enum Rows {
    Accounts(Vec<Account>),
    Organizations(Vec<Part>),
}

struct Run<'a, S> {
    to: &'a Import<'a>,
    plan: &'a Plan,
    source: &'a S,
    counts: Counts,
    skipped: u64,
    /// The number of rows that are written or skipped.
    done: u64,
}

impl<S: Source> Run<'_, S> {
    async fn write(&mut self, rows: Rows) -> Result<()> {
        match rows {
            Rows::Accounts(accounts) => self.accounts(accounts).await,
            Rows::Organizations(parts) => self.organizations(parts).await,
        }
    }

    async fn accounts(&mut self, new: Vec<Account>) -> Result<()> {
        let (now, rows) = (self.plan.terms.now, new.len());
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
        self.skipped += count(rows) - written;
        self.report_progress(rows)
    }

    async fn organizations(&mut self, parts: Vec<Part>) -> Result<()> {
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
        self.report_progress(rows)
    }

    fn report_progress(&mut self, rows: usize) -> Result<()> {
        self.done += count(rows);
        self.source.progress(self.done)
    }
}

/// Reads lines of the file again and makes rows of them.
struct Reader<'a, S> {
    to: &'a Import<'a>,
    plan: &'a Plan,
    source: &'a S,
}

impl<S: Source> Reader<'_, S> {
    fn read(&self, lines: &Lines<'_>) -> Result<Rows> {
        Ok(match lines {
            Lines::Accounts(places) => {
                let read = places.iter().map(|place| match self.source.record(*place)? {
                    Record::Account(record) => Ok(account(record, self.plan.terms.now)),
                    _ => Err(changed()),
                });
                Rows::Accounts(read.collect::<Result<_>>()?)
            }
            Lines::Organizations(chunks) => {
                let read = chunks.iter().map(|chunk| self.part(chunk));
                Rows::Organizations(read.collect::<Result<_>>()?)
            }
        })
    }

    fn part(&self, chunk: &Chunk<'_>) -> Result<Part> {
        let bundle = chunk.bundle;
        let Terms { now, .. } = self.plan.terms;
        let mut new = match bundle.own {
            Some(place) => match self.source.record(place)? {
                Record::Organization(record) => Some(self.organization(bundle, record)?),
                _ => return Err(changed()),
            },
            None => None,
        };
        let left = i64::try_from(chunk.left).map_err(Error::internal)?;
        let version = new.as_ref().map_or(0, |new| (new.version - left).max(1));
        let mut joined = Vec::with_capacity(chunk.members.len());
        for place in chunk.members {
            match self.source.record(*place)? {
                Record::Member(record) => {
                    let account = self.plan.account(&record.account).map_err(Error::internal)?;
                    joined.push(member(&record, account, now));
                }
                _ => return Err(changed()),
            }
        }
        let mut invited = Vec::with_capacity(chunk.invitations.len());
        for place in chunk.invitations {
            match self.source.record(*place)? {
                Record::Invitation(record) => invited.push(self.invitation(record)?),
                _ => return Err(changed()),
            }
        }
        if let Some(new) = &mut new {
            let current = joined.iter().filter(|member| member.departure.is_none()).count();
            new.member_count = i64::try_from(current).map_err(Error::internal)?;
            let current = joined.iter().filter(|member| member.departure.is_none());
            current.for_each(|member| new.add_member_end(member.expires_at));
            new.version = version;
        }
        let new = new.filter(|_| chunk.has_own);
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
            next_member_end: None,
            attributes: record.attributes,
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
            attributes: record.attributes,
            member_end: record.member_end,
            continue_url: record.continue_url,
            locale: record.locale,
            // Looked up when the invitation is written.
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
            reminders: 0,
        };
        let invite = Invite { expires_at: invite.capped_expiry(invite.expires_at), ..invite };
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
        attributes: record.attributes.clone(),
        expires_at: record.expires_at,
        departure,
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn changed() -> Error {
    Error::internal("the file has changed since it was checked")
}
