//! The first reading of a file: finds its problems and the lines that must be written.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::bundle::Bundle;
use super::lines::{Place, Problem, Terms, invitation_id, member_id};
use super::lookup::{Known, Names, Resolved, known};
use crate::domain::transfer::{
    AccountKey, AccountRecord, InvitationRecord, MemberRecord, OrganizationRecord, Record,
    derived_id,
};
use crate::domain::{
    AccountId, Attributes, InviteId, MemberId, MemberStatus, OrganizationId, Role,
};
use crate::error::Result;
use crate::operations::members::as_counted;
use crate::storage::Store;
use crate::storage::transfer;

/// The lines of a file that must be written.
pub struct Plan {
    pub(super) terms: Terms,
    pub(super) accounts: Vec<Place>,
    /// The organizations in the order of the file.
    pub(super) organizations: Vec<Bundle>,
    index: HashMap<OrganizationId, usize>,
    /// The accounts of the file and those of the store that it names, by digest; None for an
    /// address of several accounts.
    keys: HashMap<Uuid, Option<AccountId>>,
    erased: HashSet<AccountId>,
    /// Whether the store has organizations; `None` until this is looked up.
    has_organizations: Option<bool>,
    /// The ids and keys of all lines, for duplicates.
    seen: HashSet<Uuid>,
    problems: Vec<Problem>,
    /// Records that are in the store already.
    pub unchanged: u64,
    /// Invitations that have expired, which are left out.
    pub expired: u64,
}

impl Plan {
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            accounts: Vec::new(),
            organizations: Vec::new(),
            index: HashMap::new(),
            keys: HashMap::new(),
            erased: HashSet::new(),
            has_organizations: None,
            seen: HashSet::new(),
            problems: Vec::new(),
            unchanged: 0,
            expired: 0,
        }
    }

    /// Adds a problem of a line, for example that it cannot be read.
    pub fn reject(&mut self, line: u32, what: impl Into<String>) {
        self.problems.push(Problem { line, what: what.into() });
    }

    /// Checks the next lines, about a thousand, against earlier lines and the store.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn add(&mut self, store: Option<&Store>, lines: Vec<(Place, Record)>) -> Result<()> {
        let mut by_id = HashMap::new();
        if let Some(store) = store {
            by_id = self.look_up(store, &lines).await?;
        }
        let mut resolved = Vec::new();
        for (place, record) in lines {
            let checked = match record {
                Record::Account(record) => self.add_account(place, &record, &by_id),
                Record::Organization(record) => self.add_organization(place, &record),
                Record::Member(record) => {
                    self.resolve_member(place, record).map(|one| resolved.push(one))
                }
                Record::Invitation(record) => {
                    self.resolve_invitation(place, record).map(|one| resolved.push(one))
                }
            };
            if let Err(what) = checked {
                self.reject(place.line, what);
            }
        }
        let known = match store {
            Some(store) if self.has_organizations(store).await? => known(store, &resolved).await?,
            _ => Known::default(),
        };
        for one in resolved {
            let (place, checked) = match one {
                Resolved::Member(place, record, account, id) => {
                    (place, self.add_member(place, &record, account, id, &known))
                }
                Resolved::Invitation(place, record, inviter, id) => {
                    (place, self.add_invitation(place, &record, inviter, id, &known))
                }
            };
            if let Err(what) = checked {
                self.reject(place.line, what);
            }
        }
        Ok(())
    }

    /// Whether the store has organizations. A store without organizations has no members either, so
    /// they need not be looked up.
    async fn has_organizations(&mut self, store: &Store) -> Result<bool> {
        if let Some(known) = self.has_organizations {
            return Ok(known);
        }
        let first = transfer::organizations(store.read(), None, 1).await?;
        Ok(*self.has_organizations.insert(!first.is_empty()))
    }

    /// Makes the checks that need the whole file; returns all problems, in the order of lines.
    pub fn finish(&mut self) -> Vec<Problem> {
        let mut wrong = Vec::new();
        for bundle in &self.organizations {
            let mut reject = |what: String| wrong.push(Problem { line: bundle.line, what });
            if bundle.adds_members && bundle.count > 0 && bundle.lacks_admin() {
                reject(format!("organization {} has members and no active admin", bundle.id));
            }
            if bundle.own.is_some() && !bundle.has_creator && bundle.first_admin.is_none() {
                reject("organization.creator: is missing, and there is no admin".to_owned());
            }
            if bundle.adds_members && bundle.seat_limit != 0 && bundle.count > bundle.seat_limit {
                reject(format!(
                    "organization {} would have {} members, more than its seat limit of {}",
                    bundle.id, bundle.count, bundle.seat_limit
                ));
            }
        }
        self.problems.append(&mut wrong);
        self.problems.sort();
        self.problems.clone()
    }

    /// The number of lines that must be written.
    pub fn rows(&self) -> u64 {
        let of = |bundle: &Bundle| {
            usize::from(bundle.own.is_some()) + bundle.members.len() + bundle.invitations.len()
        };
        let rows = self.organizations.iter().map(of).sum::<usize>() + self.accounts.len();
        u64::try_from(rows).unwrap_or(u64::MAX)
    }

    /// The account that a record names.
    pub(super) fn account(&self, key: &AccountKey) -> Result<AccountId, String> {
        match self.keys.get(&key.digest()) {
            Some(Some(id)) => Ok(*id),
            Some(None) => Err("several accounts have this address".to_owned()),
            None => Err("there is no such account in an earlier line or in the store".to_owned()),
        }
    }

    /// Records which of the accounts and organizations that lines name are in the store. Returns
    /// issuer and subject of these accounts by id.
    async fn look_up(
        &mut self,
        store: &Store,
        lines: &[(Place, Record)],
    ) -> Result<HashMap<AccountId, AccountKey>> {
        let mut names = Names::of(lines);
        names.accounts.retain(|key| !self.keys.contains_key(&key.digest()));
        names.organizations.retain(|id| !self.index.contains_key(id));
        let named: HashSet<Uuid> = names.accounts.iter().map(AccountKey::digest).collect();
        let mut by_id = HashMap::new();
        for account in names.accounts(store).await? {
            if account.is_erased() {
                self.erased.insert(account.id);
            }
            let address = account.profile.verified_email().cloned().map(AccountKey::Email);
            if let Some(address) = address.filter(|address| named.contains(&address.digest())) {
                self.add_address(address, account.id);
            }
            let (issuer, subject) = (account.issuer, account.subject);
            let key = AccountKey::Subject { issuer, subject };
            self.keys.insert(AccountKey::Id(account.id).digest(), Some(account.id));
            self.keys.insert(key.digest(), Some(account.id));
            by_id.insert(account.id, key);
        }
        for organization in names.organizations(store).await? {
            let organization = as_counted(store.read(), organization, self.terms.now).await?;
            self.index.insert(organization.id, self.organizations.len());
            self.organizations.push(Bundle {
                stored: organization.member_count,
                count: organization.member_count,
                seat_limit: organization.seat_limit,
                has_creator: true,
                ..Bundle::new(organization.id, None)
            });
        }
        Ok(by_id)
    }

    fn add_address(&mut self, key: AccountKey, id: AccountId) {
        let entry = self.keys.entry(key.digest()).or_insert(Some(id));
        if *entry != Some(id) {
            *entry = None;
        }
    }

    fn add_account(
        &mut self,
        place: Place,
        record: &AccountRecord,
        by_id: &HashMap<AccountId, AccountKey>,
    ) -> Result<(), String> {
        let key = record.key();
        let (own, named) = (key.digest(), AccountKey::Id(record.id).digest());
        if !self.seen.insert(own) || !self.seen.insert(record.id.into()) {
            return Err("account: an earlier line has the same id, or issuer and subject".into());
        }
        if let Some(known) = self.keys.get(&own).copied().flatten() {
            self.keys.insert(named, Some(known));
            self.unchanged += 1;
        } else if let Some(other) = by_id.get(&record.id) {
            if !self.erased.contains(&record.id) {
                let which = if *other == key { "" } else { "another " };
                return Err(format!("account.id: belongs to {which}account of the store"));
            }
            self.keys.insert(own, Some(record.id));
            self.unchanged += 1;
        } else {
            self.keys.insert(own, Some(record.id));
            self.keys.insert(named, Some(record.id));
            self.accounts.push(place);
        }
        let id = self.keys.get(&own).copied().flatten().unwrap_or(record.id);
        if let Some(email) = &record.profile.email {
            self.add_address(AccountKey::Email(email.clone()), id);
        }
        Ok(())
    }

    fn add_organization(
        &mut self,
        place: Place,
        record: &OrganizationRecord,
    ) -> Result<(), String> {
        if !self.seen.insert(record.id.into()) {
            return Err("organization.id: an earlier line has the same".into());
        }
        if let Some(creator) = &record.creator {
            self.account(creator).map_err(|what| format!("organization.creator: {what}"))?;
        }
        if let Some(known) = self.index.get(&record.id) {
            self.organizations[*known].line = place.line;
            self.unchanged += 1;
            return Ok(());
        }
        self.index.insert(record.id, self.organizations.len());
        self.organizations.push(Bundle {
            has_creator: record.creator.is_some(),
            seat_limit: record.seat_limit.unwrap_or(self.terms.default_seat_limit),
            ..Bundle::new(record.id, Some(place))
        });
        Ok(())
    }

    fn bundle(&mut self, id: OrganizationId) -> Result<&mut Bundle, String> {
        let index = self.index.get(&id).copied();
        index.and_then(|index| self.organizations.get_mut(index)).ok_or_else(|| {
            "there is no such organization in an earlier line or in the store".to_owned()
        })
    }

    /// Records the external id of a current member or a pending invitation; fails if an earlier
    /// line has the same.
    fn add_external_id(
        &mut self,
        kind: &str,
        organization: OrganizationId,
        attributes: &Attributes,
    ) -> Result<(), String> {
        let Some(id) = &attributes.external_id else { return Ok(()) };
        let key = ["external_id", kind, &organization.to_string(), id.as_str()];
        match self.seen.insert(derived_id(&key)) {
            true => Ok(()),
            false => Err("external_id: an earlier line has the same".into()),
        }
    }

    fn resolve_member(&mut self, place: Place, record: MemberRecord) -> Result<Resolved, String> {
        self.bundle(record.organization).map_err(|what| format!("organization_id: {what}"))?;
        let account = self.account(&record.account).map_err(|what| format!("account: {what}"))?;
        let id = member_id(&record, account);
        Ok(Resolved::Member(place, record, account, id))
    }

    fn resolve_invitation(
        &mut self,
        place: Place,
        record: InvitationRecord,
    ) -> Result<Resolved, String> {
        self.bundle(record.organization).map_err(|what| format!("organization_id: {what}"))?;
        let inviter = match &record.inviter {
            Some(key) => Some(self.account(key).map_err(|what| format!("inviter: {what}"))?),
            None => None,
        };
        let id = invitation_id(&record);
        Ok(Resolved::Invitation(place, record, inviter, id))
    }

    fn add_member(
        &mut self,
        place: Place,
        record: &MemberRecord,
        account: AccountId,
        id: MemberId,
        known: &Known,
    ) -> Result<(), String> {
        let organization = record.organization;
        let is_current = record.departure.is_none();
        if !self.seen.insert(id.into()) {
            return Err("id: an earlier line has the same".into());
        }
        let pair = ["current", &organization.to_string(), &account.to_string()];
        if is_current && !self.seen.insert(derived_id(&pair)) {
            return Err("account: is a member of the organization by an earlier line".into());
        }
        match known.members.get(&id) {
            Some(member) if (member.organization, member.account) != (organization, account) => {
                return Err("id: belongs to another membership of the store".into());
            }
            None if is_current
                && known
                    .current
                    .get(&(organization, account))
                    .is_some_and(|member| member.is_current(self.terms.now)) =>
            {
                self.unchanged += 1;
                return Ok(());
            }
            None => {}
            Some(_) => {
                self.unchanged += 1;
                return Ok(());
            }
        }
        if is_current && self.erased.contains(&account) {
            return Err("account: was erased".into());
        }
        if is_current {
            self.add_external_id("member", organization, &record.attributes)?;
        }
        let bundle = self.bundle(organization)?;
        bundle.members.push(place);
        if is_current {
            bundle.adds_members = true;
            bundle.count += 1;
            if record.role == Role::Admin
                && record.status == MemberStatus::Active
                && record.expires_at.is_none()
            {
                bundle.admins.push(account);
                bundle.first_admin = bundle.first_admin.or(Some(account));
            }
        }
        Ok(())
    }

    fn add_invitation(
        &mut self,
        place: Place,
        record: &InvitationRecord,
        inviter: Option<AccountId>,
        id: InviteId,
        known: &Known,
    ) -> Result<(), String> {
        let organization = record.organization;
        let own = derived_id(&["pending", &organization.to_string(), record.email.as_str()]);
        if !self.seen.insert(id.into()) || !self.seen.insert(own) {
            return Err("an earlier line has the same id, or organization and address".into());
        }
        let latest = self.terms.now.plus(std::time::Duration::from_secs(30 * 24 * 60 * 60));
        if record.expires_at.is_some_and(|end| latest < end) {
            return Err("expire_time: must be at most 30 days from now".into());
        }
        if known.invites.contains(&id) {
            self.unchanged += 1;
            return Ok(());
        }
        if record.expires_at.is_some_and(|end| end <= self.terms.now) {
            self.expired += 1;
            return Ok(());
        }
        let now = self.terms.now;
        let stored = |account: AccountId| {
            let member = known.current.get(&(organization, account));
            member.is_some_and(|member| {
                member.role == Role::Admin
                    && member.status == MemberStatus::Active
                    && member.is_current(now)
            })
        };
        self.add_external_id("invitation", organization, &record.attributes)?;
        let bundle = self.bundle(organization)?;
        let may_invite = match inviter {
            Some(inviter) => bundle.admins.contains(&inviter) || stored(inviter),
            None => !bundle.lacks_admin(),
        };
        if !may_invite {
            return Err("inviter: must be an active admin of the organization".into());
        }
        bundle.invitations.push(place);
        Ok(())
    }
}
