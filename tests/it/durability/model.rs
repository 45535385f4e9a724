//! The content that the store must have according to the ledger and the audit trail. The model
//! applies each change that has its events to its maps.

use std::collections::HashMap;

use guestlist::domain::InviteToken;
use uuid::Uuid;

use super::ledger::{Call, CallOutcome, Entry};
use super::rows::Event;

pub struct Organization {
    pub name: String,
    pub version: i64,
    pub member_count: i64,
}

pub struct Member {
    pub organization: Uuid,
    pub account: Option<Uuid>,
    pub role: String,
    pub status: &'static str,
    pub invite: Option<Uuid>,
}

pub struct Invite {
    pub organization: Uuid,
    pub kind: &'static str,
    pub state: &'static str,
    pub role: String,
    pub max_uses: Option<i64>,
    pub uses: i64,
    /// The address of an email invitation, or the note of a link.
    pub mark: String,
    /// `None` if the creator never received it.
    pub token: Option<InviteToken>,
}

/// See the top of this file.
#[derive(Default)]
pub struct Model {
    pub accounts: HashMap<String, Uuid>,
    pub organizations: HashMap<Uuid, Organization>,
    pub members: HashMap<Uuid, Member>,
    pub invites: HashMap<Uuid, Invite>,
    /// Invites that had ended before a revocation, according to its response.
    pub ended: Vec<Uuid>,
}

type Outcome = Result<(), String>;

impl Model {
    /// Applies a change that has these events, or returns what is wrong with them.
    pub fn apply(&mut self, entry: &Entry, events: &[&Event]) -> Outcome {
        let mut actions: Vec<&str> = events.iter().map(|event| event.action.as_str()).collect();
        actions.sort_unstable();
        if actions != expected(&entry.call) {
            return Err(format!("not whole: its events are {actions:?}"));
        }
        let organization_id = organization_of(&entry.call);
        if organization_id.is_some()
            && events.iter().any(|event| event.organization != organization_id)
        {
            return Err("an event of it belongs to another organization".to_owned());
        }
        let mut ids = Vec::new();
        match &entry.call {
            Call::ResolveAccount { subject } => {
                let id = uuid(&events[0].target);
                ids.push(id);
                if self.accounts.insert(subject.clone(), id).is_some() {
                    return Err("the account was there already".to_owned());
                }
            }
            Call::CreateOrganization { name } => ids = self.create(name, events)?,
            Call::UpdateOrganization { name, .. } => {
                self.advance(organization_id)?.name.clone_from(name);
            }
            Call::CreateOrganizationInvite { .. }
            | Call::CreateLink { .. }
            | Call::InviteByEmail { .. } => {
                self.advance(organization_id)?;
                for (n, event) in events.iter().enumerate() {
                    ids.push(self.invite(entry, n, event)?);
                }
            }
            Call::JoinOrganization { account, role, .. } => {
                self.advance(organization_id)?.member_count += 1;
                ids.push(self.join(organization_id, account, role, events[0])?);
            }
            Call::SetMemberRole { member, role, .. } => {
                self.advance(organization_id)?;
                self.member(member)?.role.clone_from(role);
            }
            Call::SuspendMember { member, .. } => {
                self.advance(organization_id)?;
                self.member(member)?.status = "suspended";
            }
            Call::RestoreMember { member, .. } => {
                self.advance(organization_id)?;
                self.member(member)?.status = "active";
            }
            Call::RemoveMember { member, .. } => {
                self.advance(organization_id)?.member_count -= 1;
                self.member(member)?.status = "left";
            }
            Call::Revoke { invite, .. } => {
                self.advance(organization_id)?;
                ids.push(uuid(invite));
                self.end(uuid(invite), "revoked")?;
            }
        }
        match &entry.outcome {
            CallOutcome::Acknowledged(names) => check_answer_ids(&entry.call, names, &ids),
            _ => Ok(()),
        }
    }

    /// Whether an acknowledged change without an event had nothing to change.
    pub fn is_no_op(&mut self, call: &Call) -> bool {
        match call {
            Call::ResolveAccount { subject } => self.accounts.contains_key(subject),
            Call::SetMemberRole { member, role, .. } => {
                self.member(member).is_ok_and(|member| member.role == *role)
            }
            Call::SuspendMember { member, .. } => {
                self.member(member).is_ok_and(|member| member.status == "suspended")
            }
            Call::RestoreMember { member, .. } => {
                self.member(member).is_ok_and(|member| member.status == "active")
            }
            Call::Revoke { invite, .. } => {
                self.ended.push(uuid(invite));
                true
            }
            _ => false,
        }
    }

    fn create(&mut self, name: &str, events: &[&Event]) -> Result<Vec<Uuid>, String> {
        let target = |action| events.iter().find(|event| event.action == action).unwrap();
        let id = uuid(&target("organization.created").target);
        let member = uuid(&target("member.joined").target);
        let name = name.to_owned();
        // Version 2: the creation and the join of the creator.
        self.organizations.insert(id, Organization { name, version: 2, member_count: 1 });
        let role = "admin".to_owned();
        let (account, invite) = (None, None);
        let founder = Member { organization: id, account, role, status: "active", invite };
        self.members.insert(member, founder);
        Ok(vec![id, member])
    }

    fn invite(&mut self, entry: &Entry, n: usize, event: &Event) -> Result<Uuid, String> {
        let id = uuid(&event.target);
        let organization = event.organization.ok_or("an invite of no organization")?;
        let (names, member) = (acknowledged_names(&entry.outcome), "member".to_owned());
        let (kind, role, max_uses, mark, token) = match &entry.call {
            Call::CreateLink { note, role, max_uses, .. } => {
                ("named_link", role.clone(), Some(*max_uses), note.clone(), names.get(1))
            }
            // The ids are in the order of the request.
            Call::InviteByEmail { addresses, .. } => {
                ("email", member, Some(1), addresses[n].clone(), None)
            }
            _ => ("join_link", member, None, String::new(), names.first()),
        };
        let token = token.map(|token| token.parse().expect("a token"));
        let (state, uses) = ("live", 0);
        let made = Invite { organization, kind, state, role, max_uses, uses, mark, token };
        self.invites.insert(id, made);
        if let Some(before) = event.note.strip_prefix("replaces ") {
            self.end(uuid(before), "replaced")?;
        }
        Ok(id)
    }

    fn join(
        &mut self,
        organization: Option<Uuid>,
        account: &str,
        role: &str,
        event: &Event,
    ) -> Result<Uuid, String> {
        let (id, role) = (uuid(&event.target), role.to_owned());
        let organization = organization.ok_or("a member of nothing")?;
        let (_, invite) = event.note.rsplit_once(' ').ok_or("a join without an invite")?;
        let invite = Some(uuid(invite));
        let account = Some(uuid(account));
        let joined = Member { organization, account, role, status: "active", invite };
        match self.members.insert(id, joined) {
            Some(_) => Err("somebody has joined twice".to_owned()),
            None => Ok(id),
        }
    }

    /// Counts the uses of invites and ends those that are used up. It runs at the end, because the
    /// ledger does not have the order in which several callers joined.
    pub fn count_uses(&mut self) -> Outcome {
        for member in self.members.values() {
            let Some(id) = &member.invite else { continue };
            let invite = self.invites.get_mut(id).ok_or("joined by an invite that is not there")?;
            invite.uses += 1;
        }
        for invite in self.invites.values_mut().filter(|invite| invite.state == "live") {
            if Some(invite.uses) == invite.max_uses {
                invite.state = "exhausted";
            }
        }
        match self.ended.iter().find(|id| self.invites.get(id).is_none_or(|i| i.state == "live")) {
            Some(id) => Err(format!("invite {id} was said to have ended, and is live")),
            None => Ok(()),
        }
    }

    /// Increases the version of a change's organization, and returns the organization.
    fn advance(&mut self, organization_id: Option<Uuid>) -> Result<&mut Organization, String> {
        let organization = organization_id.and_then(|id| self.organizations.get_mut(&id));
        let organization = organization.ok_or("a change of an organization that is not there")?;
        organization.version += 1;
        Ok(organization)
    }

    fn member(&mut self, id: &str) -> Result<&mut Member, String> {
        self.members.get_mut(&uuid(id)).ok_or_else(|| format!("there is no member {id}"))
    }

    fn end(&mut self, id: Uuid, state: &'static str) -> Outcome {
        let invite = self.invites.get_mut(&id).ok_or("the end of an invite that is not there")?;
        if invite.state != "live" {
            return Err(format!("invite {id} ends twice"));
        }
        invite.state = state;
        Ok(())
    }
}

/// The actions of the events that a change must have, sorted.
fn expected(call: &Call) -> Vec<&'static str> {
    match call {
        Call::ResolveAccount { .. } => vec!["account.created"],
        Call::CreateOrganization { .. } => vec!["member.joined", "organization.created"],
        Call::UpdateOrganization { .. } => vec!["organization.updated"],
        Call::CreateOrganizationInvite { .. } | Call::CreateLink { .. } => vec!["invite.created"],
        Call::InviteByEmail { addresses, .. } => vec!["invite.created"; addresses.len()],
        Call::JoinOrganization { .. } => vec!["member.joined"],
        Call::SetMemberRole { .. } => vec!["member.role_changed"],
        Call::SuspendMember { .. } => vec!["member.suspended"],
        Call::RestoreMember { .. } => vec!["member.restored"],
        Call::RemoveMember { .. } => vec!["member.removed"],
        Call::Revoke { .. } => vec!["invite.revoked"],
    }
}

fn organization_of(call: &Call) -> Option<Uuid> {
    match call {
        Call::ResolveAccount { .. } | Call::CreateOrganization { .. } => None,
        Call::UpdateOrganization { organization, .. }
        | Call::CreateOrganizationInvite { organization }
        | Call::CreateLink { organization, .. }
        | Call::InviteByEmail { organization, .. }
        | Call::JoinOrganization { organization, .. }
        | Call::SetMemberRole { organization, .. }
        | Call::SuspendMember { organization, .. }
        | Call::RestoreMember { organization, .. }
        | Call::RemoveMember { organization, .. }
        | Call::Revoke { organization, .. } => Some(uuid(organization)),
    }
}

/// Compares the ids in a response with those of its events.
fn check_answer_ids(call: &Call, names: &[String], ids: &[Uuid]) -> Outcome {
    let answered: Vec<Uuid> = match call {
        // Their responses contain no id, but a token or a name.
        Call::CreateOrganizationInvite { .. } | Call::UpdateOrganization { .. } => return Ok(()),
        Call::CreateLink { .. } => vec![uuid(&names[0])],
        _ => names.iter().map(|name| uuid(name)).collect(),
    };
    if answered == ids {
        Ok(())
    } else {
        Err(format!("the answer named {answered:?}, done is {ids:?}"))
    }
}

fn acknowledged_names(outcome: &CallOutcome) -> &[String] {
    match outcome {
        CallOutcome::Acknowledged(names) => names,
        _ => &[],
    }
}

fn uuid(text: &str) -> Uuid {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}
