//! A caller of the server: it creates organizations and changes them, and writes each response to
//! the ledger before it sends the next request.
//!
//! Only the caller that created an organization changes it, so the ledger has the order of these
//! changes. The other callers only make accounts join it.

use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::grpc_client::GrpcClient;
use super::ledger::{Call, CallOutcome, Entry, Ledger};
use super::round::Round;

/// How many of its organizations a caller still changes: those that it created last.
const CHANGED: usize = 3;
/// How many links the callers still use for joins: the newest ones of all callers.
const TRIED: usize = 24;

/// The ids of an organization's members, without the member that is the caller itself.
type Members = Arc<Mutex<Vec<String>>>;

/// An organization that the caller created and still changes.
struct OwnOrganization {
    id: String,
    members: Members,
    invites: Vec<String>,
}

/// A link by which any account may join. It may be used up already.
#[derive(Clone)]
struct Link {
    organization: String,
    members: Members,
    token: String,
    role: String,
}

/// The links that the callers created, for use by all callers. Clones share the list.
#[derive(Clone, Default)]
pub struct SharedLinks(Arc<Mutex<Vec<Link>>>);

impl SharedLinks {
    fn put(&self, link: Link) {
        let mut links = self.0.lock().unwrap();
        links.push(link);
        let old = links.len().saturating_sub(TRIED);
        links.drain(..old);
    }

    fn any(&self, random: &mut StdRng) -> Option<Link> {
        self.0.lock().unwrap().choose(random).cloned()
    }
}

/// See the top of this file.
pub struct Caller {
    name: String,
    random: StdRng,
    calls: usize,
    /// The account on whose behalf the service's key acts.
    account: Option<String>,
    /// Accounts that are not a member of any organization yet.
    unused_accounts: Vec<String>,
    own: Vec<OwnOrganization>,
    /// An organization, and an address that it has invited.
    invited: Option<(String, String)>,
    shared_links: SharedLinks,
    ledger: Ledger,
}

impl Caller {
    pub fn new(number: u64, seed: u64, shared_links: SharedLinks, ledger: Ledger) -> Self {
        Self {
            name: format!("caller{number}"),
            random: StdRng::seed_from_u64(seed ^ (number << 32)),
            calls: 0,
            account: None,
            unused_accounts: Vec::new(),
            own: Vec::new(),
            invited: None,
            shared_links,
            ledger,
        }
    }

    /// Makes calls until the round is over or the result of a call is unknown.
    pub async fn work(mut self, client: GrpcClient, round: Arc<Round>) -> Self {
        while !round.is_over() {
            let (call, link) = self.next_call();
            self.calls += 1;
            let request = format!("{}-{}", self.name, self.calls);
            let account = match &call {
                Call::ResolveAccount { .. } => None,
                Call::JoinOrganization { account, .. } => Some(account.clone()),
                _ => self.account.clone(),
            };
            round.call_begins();
            let outcome = client.make(&request, account.as_deref(), &call).await;
            round.call_ended(&outcome);
            let entry = Entry { request, call, outcome };
            self.ledger.note(&entry).await;
            self.learn(&entry, link);
            if matches!(entry.outcome, CallOutcome::Unknown(_)) {
                break;
            }
        }
        self
    }

    /// A text that no other call contains.
    fn mark(&self) -> String {
        format!("{} mark {}", self.name, self.calls)
    }

    /// The next call, and for a join its link.
    fn next_call(&mut self) -> (Call, Option<Link>) {
        if self.account.is_none() {
            return (Call::ResolveAccount { subject: self.name.clone() }, None);
        }
        let joining = self.random.random_ratio(3, 10);
        if joining && self.unused_accounts.is_empty() {
            return (Call::ResolveAccount { subject: self.mark() }, None);
        }
        if joining && let Some(link) = self.shared_links.any(&mut self.random) {
            let call = Call::JoinOrganization {
                organization: link.organization.clone(),
                token: link.token.clone(),
                account: self.unused_accounts.pop().unwrap(),
                role: link.role.clone(),
            };
            return (call, Some(link));
        }
        let call = self.change().unwrap_or(Call::CreateOrganization { name: self.mark() });
        (call, None)
    }

    /// A random change of one of the caller's organizations. With `None`, the caller creates one.
    fn change(&mut self) -> Option<Call> {
        let mark = self.mark();
        let random = &mut self.random;
        let own = self.own.choose(random)?;
        let organization = own.id.clone();
        let what = random.random_range(0..100);
        let member = own.members.lock().unwrap().choose(random).cloned();
        Some(match (what, member) {
            (0..10, _) => return None,
            (10..35, _) => Call::CreateOrganizationInvite { organization },
            (35..50, _) => Call::CreateLink {
                organization,
                note: mark,
                role: ["read", "member", "edit"].choose(random)?.to_string(),
                max_uses: random.random_range(1..=3),
            },
            (50..65, _) => {
                let address = |n| format!("{}-{n}@example.com", mark.replace(' ', "-"));
                let mut addresses: Vec<_> = (0..random.random_range(1..=3)).map(address).collect();
                // The last address is over the limit, unless the server has restarted since: the
                // server rejects the call when part of the change is done.
                addresses
                    .extend(self.invited.take_if(|(at, _)| *at != organization).map(|of| of.1));
                Call::InviteByEmail { organization, addresses }
            }
            (65..75, _) => Call::UpdateOrganization { organization, name: mark },
            // Usually another caller's organization: rejected, and nothing of it is stored.
            (75..80, _) => {
                let organization = self.shared_links.any(random)?.organization;
                Call::UpdateOrganization { organization, name: format!("not {mark}") }
            }
            (80..86, _) => {
                Call::Revoke { organization, invite: own.invites.choose(random)?.clone() }
            }
            (86..94, Some(member)) => {
                let role = ["read", "member", "edit", "admin"].choose(random)?.to_string();
                Call::SetMemberRole { organization, member, role }
            }
            (94..96, Some(member)) => Call::SuspendMember { organization, member },
            (96..98, Some(member)) => Call::RestoreMember { organization, member },
            (_, Some(member)) => Call::RemoveMember { organization, member },
            (_, None) => Call::CreateOrganizationInvite { organization },
        })
    }

    /// Remembers the ids and tokens that a response contains.
    fn learn(&mut self, entry: &Entry, link: Option<Link>) {
        let CallOutcome::Acknowledged(names) = &entry.outcome else { return };
        match &entry.call {
            Call::ResolveAccount { .. } if self.account.is_none() => {
                self.account = Some(names[0].clone());
            }
            Call::ResolveAccount { .. } => self.unused_accounts.push(names[0].clone()),
            Call::CreateOrganization { .. } => {
                let (members, invites) = Default::default();
                self.own.push(OwnOrganization { id: names[0].clone(), members, invites });
                let old = self.own.len().saturating_sub(CHANGED);
                self.own.drain(..old);
            }
            Call::CreateOrganizationInvite { organization } => {
                self.put_link(organization, &names[0], "member");
            }
            Call::CreateLink { organization, role, .. } => {
                self.put_link(organization, &names[1], role);
                self.own_mut(organization).invites.push(names[0].clone());
            }
            Call::InviteByEmail { organization, addresses } => {
                self.invited = Some((organization.clone(), addresses[0].clone()));
                self.own_mut(organization).invites.extend(names.iter().cloned());
            }
            Call::JoinOrganization { .. } => {
                let members = link.expect("joined by a link").members;
                members.lock().unwrap().push(names[0].clone());
            }
            Call::RemoveMember { organization, member } => {
                let members = Arc::clone(&self.own_mut(organization).members);
                members.lock().unwrap().retain(|other| other != member);
            }
            _ => {}
        }
    }

    fn own_mut(&mut self, organization: &str) -> &mut OwnOrganization {
        self.own.iter_mut().find(|own| own.id == organization).expect("the caller still has it")
    }

    fn put_link(&mut self, organization: &str, token: &str, role: &str) {
        let members = Arc::clone(&self.own_mut(organization).members);
        let [organization, token, role] = [organization, token, role].map(str::to_owned);
        self.shared_links.put(Link { organization, members, token, role });
    }
}
