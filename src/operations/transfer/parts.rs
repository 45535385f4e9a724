//! The transactions of an import. Each writes rows of one organization, or of several new ones.

use std::collections::{HashMap, HashSet};

use crate::domain::{
    Account, AccountId, Action, Actor, EventData, Invite, InviteData, Member, MemberData, MemberId,
    MemberStatus, Organization, OrganizationId, Role, SecretHash, Timestamp,
};
use crate::error::{Error, Kind, Result, reason};
use crate::operations::members::lock_and_end_due;
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::invites::StoredToken;
use crate::storage::{Tx, accounts, invites, members, organizations, outbox, transfer};

/// Rows of one organization.
pub(super) struct Part {
    pub id: OrganizationId,
    /// The organization itself, with its version and number of members after the transaction.
    /// None if it is in the store.
    pub new: Option<Organization>,
    /// The least version after the transaction.
    pub version: i64,
    pub members: Vec<Member>,
    pub invitations: Vec<Invitation>,
}

/// A new invitation.
pub(super) struct Invitation {
    /// Its field `inviter` is set when the invitation is written.
    pub invite: Invite,
    /// None: the first admin.
    pub inviter: Option<AccountId>,
    pub hash: SecretHash,
    pub sealed: Vec<u8>,
}

/// The numbers of rows that a transaction has written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub organizations: u64,
    pub members: u64,
    pub departures: u64,
    pub invitations: u64,
    /// Rows that are in the store already, and invitations to an address that a member or a pending
    /// invitation has.
    pub skipped: u64,
}

/// The rows of a part that must be written.
struct Open<'a> {
    organization: Organization,
    is_new: bool,
    members: Vec<&'a Member>,
    invites: Vec<(Invite, StoredToken)>,
}

impl Open<'_> {
    /// Whether there is something to write, besides the organization.
    fn has_rows(&self) -> bool {
        !self.members.is_empty() || !self.invites.is_empty()
    }
}

impl Part {
    pub(super) fn rows(&self) -> usize {
        usize::from(self.new.is_some()) + self.members.len() + self.invitations.len()
    }
}

/// Writes parts. Several parts must all be of new organizations. An organization that other
/// transactions may change is locked before anything is written, and must be the only one, so that
/// its events are in the feed in the order of its versions.
pub(super) async fn write(tx: &Tx, parts: &[Part], mails: bool, now: Timestamp) -> Result<Written> {
    let mut all = Vec::with_capacity(parts.len());
    let mut written = Written::default();
    for part in parts {
        let organization = match &part.new {
            Some(new) => new.clone(),
            None => {
                let locked = lock_and_end_due(tx, part.id, now).await?;
                locked.ok_or_else(|| deleted(part.id))?
            }
        };
        all.push((part, organization));
    }
    let ids = parts.iter().flat_map(|part| part.members.iter().map(|member| member.account));
    let profiles = accounts::lock_profiles(tx, &ids.collect::<Vec<_>>()).await?;
    let mut open = Vec::with_capacity(parts.len());
    for (part, organization) in all {
        let one = prepare(tx, part, organization, &profiles, now).await?;
        let skipped = part.rows() - usize::from(one.is_new) - one.members.len() - one.invites.len();
        written.skipped += count(skipped);
        written.organizations += u64::from(one.is_new);
        open.push(one);
    }

    let new = open.iter().filter(|one| one.is_new).map(|one| one.organization.clone());
    organizations::insert_all(tx, &new.collect::<Vec<_>>()).await?;
    let mut rows = Vec::new();
    for one in &open {
        if !one.is_new && one.has_rows() {
            organizations::update(tx, &one.organization).await?;
        }
        for member in &one.members {
            let profile =
                &profiles.get(&member.account).ok_or_else(|| account_missing(member))?.profile;
            rows.push((*member, profile));
            match member.departure {
                None => written.members += 1,
                Some(_) => written.departures += 1,
            }
        }
    }
    members::insert_all(tx, rows).await?;
    let actor = Actor::system("command-line");
    let events = open.iter().flat_map(|one| events(one, &actor)).collect();
    audit_events::append_all(tx, events, now).await?;
    let (mut rows, mut due) = (Vec::new(), Vec::new());
    for one in &mut open {
        let organization = one.organization.id;
        due.extend(one.invites.iter().map(|(invite, _)| (organization, invite.id)));
        rows.append(&mut one.invites);
    }
    written.invitations += count(rows.len());
    let rows = rows.iter_mut().map(|(invite, token)| {
        let sealed = std::mem::take(&mut token.sealed);
        (&*invite, StoredToken { hash: token.hash, sealed })
    });
    invites::insert_all(tx, rows.collect()).await?;
    if mails {
        outbox::enqueue_all(tx, due, None, now).await?;
    }
    Ok(written)
}

/// Finds the rows of a part that the store lacks.
async fn prepare<'a>(
    tx: &Tx,
    part: &'a Part,
    mut organization: Organization,
    profiles: &HashMap<AccountId, Account>,
    now: Timestamp,
) -> Result<Open<'a>> {
    let is_new = part.new.is_some();
    let mut members: Vec<&Member> = part.members.iter().collect();
    if !is_new {
        let there = existing(tx, part).await?;
        members.retain(|member| {
            let is_member = member.departure.is_none() && there.1.contains(&member.account);
            !is_member && !there.0.contains(&member.id)
        });
    }
    for member in &members {
        let account = profiles.get(&member.account).ok_or_else(|| account_missing(member))?;
        if account.is_erased() && member.departure.is_none() {
            return Err(account_missing(member));
        }
    }
    let invites = new_invites(tx, part, &members, profiles, now).await?;
    let has_rows = !members.is_empty() || !invites.is_empty();
    if !is_new && has_rows {
        let joined = members.iter().filter(|member| member.departure.is_none()).count();
        organization.member_count += i64::try_from(joined).map_err(Error::internal)?;
        let current = members.iter().filter(|member| member.departure.is_none());
        current.for_each(|member| organization.add_member_end(member.expires_at));
        organization.version = part.version.max(organization.version + 1);
        let seats = organization.seat_limit;
        if joined > 0 && seats != 0 && organization.member_count > seats {
            let what = format!(
                "organization {} would have {} members, more than its seat limit of {seats}",
                organization.id, organization.member_count
            );
            return Err(Error::precondition(reason::SEAT_LIMIT, what));
        }
    }
    Ok(Open { organization, is_new, members, invites })
}

/// The memberships of a part that are in the store, and the accounts that are members.
async fn existing(tx: &Tx, part: &Part) -> Result<(HashSet<MemberId>, HashSet<AccountId>)> {
    let ids: Vec<_> = part.members.iter().map(|member| member.id).collect();
    let accounts: Vec<_> = part.members.iter().map(|member| member.account).collect();
    let by_id = transfer::members_with_ids(tx, &ids).await?;
    let current = transfer::current_members(tx, part.id, &accounts).await?;
    Ok((
        by_id.iter().map(|member| member.id).collect(),
        current.iter().map(|member| member.account).collect(),
    ))
}

/// The invitations that the store lacks, except those to an address that a member or a pending
/// invitation has.
async fn new_invites(
    tx: &Tx,
    part: &Part,
    new: &[&Member],
    profiles: &HashMap<AccountId, Account>,
    now: Timestamp,
) -> Result<Vec<(Invite, StoredToken)>> {
    if part.invitations.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<_> = part.invitations.iter().map(|one| one.invite.id).collect();
    let there: HashSet<_> = transfer::existing_invites(tx, &ids).await?.into_iter().collect();
    let addresses: Vec<_> =
        part.invitations.iter().filter_map(|one| one.invite.email.as_ref()).collect();
    let mut taken = members::addresses_among(tx, part.id, &addresses).await?;
    for pending in invites::pending_of_addresses(tx, part.id, &addresses).await? {
        taken.extend(pending.email);
    }
    for member in new.iter().filter(|member| member.departure.is_none()) {
        let account = profiles.get(&member.account);
        taken.extend(account.and_then(|account| account.profile.verified_email()).cloned());
    }
    let inviters: Vec<_> = part.invitations.iter().filter_map(|one| one.inviter).collect();
    let mut admins: HashMap<AccountId, MemberId> = HashMap::new();
    for member in
        transfer::current_members(tx, part.id, &inviters).await?.iter().chain(new.iter().copied())
    {
        if member.role == Role::Admin
            && member.status == MemberStatus::Active
            && member.is_current(now)
        {
            admins.insert(member.account, member.id);
        }
    }
    let first = match new.iter().find(|member| admins.get(&member.account) == Some(&member.id)) {
        Some(admin) => Some(admin.id),
        None => transfer::first_admin(tx, part.id).await?,
    };
    let mut missing = Vec::new();
    for one in &part.invitations {
        let is_taken = one.invite.email.as_ref().is_none_or(|email| taken.contains(email));
        if is_taken || there.contains(&one.invite.id) {
            continue;
        }
        let inviter = match one.inviter {
            Some(account) => admins.get(&account).copied(),
            None => first,
        };
        let inviter = inviter.ok_or_else(|| {
            let what = format!(
                "the inviter of an invitation to organization {} is no active admin",
                part.id
            );
            Error::new(Kind::FailedPrecondition, what)
        })?;
        let token = StoredToken { hash: one.hash, sealed: one.sealed.clone() };
        missing.push((Invite { inviter, ..one.invite.clone() }, token));
    }
    Ok(missing)
}

fn events<'a>(open: &Open<'_>, actor: &'a Actor) -> Vec<NewEvent<'a>> {
    let version = open.organization.at_version();
    let event =
        |action, data, note| NewEvent { action, data, organization: Some(version), actor, note };
    let mut events = Vec::with_capacity(1 + open.members.len() + open.invites.len());
    if open.is_new {
        let data = EventData::organization(&open.organization, Vec::new());
        events.push(event(Action::OrganizationCreated, data, "imported".to_owned()));
    }
    for member in &open.members {
        let action = match member.departure {
            None => Action::MemberJoined,
            Some(left) if left.removed => Action::MemberRemoved,
            Some(_) => Action::MemberLeft,
        };
        let note = format!("as {}, imported", member.role);
        events.push(event(action, EventData::Member(MemberData::from(*member)), note));
    }
    for (invite, _) in &open.invites {
        let note = format!("by email, as {}, imported", invite.role);
        events.push(event(
            Action::InviteCreated,
            EventData::Invite(InviteData::from(invite)),
            note,
        ));
    }
    events
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn deleted(id: OrganizationId) -> Error {
    Error::new(Kind::NotFound, format!("organization {id} was deleted during the import"))
}

fn account_missing(member: &Member) -> Error {
    let what = format!(
        "account {} is not in the store any more, or was erased: repeat the command",
        member.account
    );
    Error::new(Kind::NotFound, what)
}
