//! Finds the records of a file that are in the store already.

use std::collections::{HashMap, HashSet};

use super::lines::Place;
use crate::domain::transfer::{AccountKey, InvitationRecord, MemberRecord, Record};
use crate::domain::{
    Account, AccountId, EmailAddress, InviteId, Member, MemberId, Organization, OrganizationId,
};
use crate::error::Result;
use crate::storage::Store;
use crate::storage::transfer;

/// A line with its references resolved.
pub(super) enum Resolved {
    Member(Place, MemberRecord, AccountId, MemberId),
    Invitation(Place, InvitationRecord, Option<AccountId>, InviteId),
}

/// The members and invites of the store that the records of a batch refer to.
#[derive(Default)]
pub(super) struct Known {
    pub members: HashMap<MemberId, Member>,
    pub current: HashMap<(OrganizationId, AccountId), Member>,
    pub invites: HashSet<InviteId>,
}

/// The accounts and organizations that lines name.
#[derive(Default)]
pub(super) struct Names {
    pub accounts: Vec<AccountKey>,
    pub organizations: HashSet<OrganizationId>,
}

impl Names {
    pub(super) fn of(lines: &[(Place, Record)]) -> Self {
        let mut names = Self::default();
        for (_, record) in lines {
            match record {
                Record::Account(record) => {
                    names.accounts.extend([AccountKey::Id(record.id), record.key()]);
                }
                Record::Organization(record) => {
                    names.organizations.insert(record.id);
                    names.accounts.extend(record.creator.clone());
                }
                Record::Member(record) => {
                    names.organizations.insert(record.organization);
                    names.accounts.push(record.account.clone());
                }
                Record::Invitation(record) => {
                    names.organizations.insert(record.organization);
                    names.accounts.extend(record.inviter.clone());
                }
            }
        }
        names
    }

    /// The named accounts that are in the store. One account may be returned several times.
    pub(super) async fn accounts(&self, store: &Store) -> Result<Vec<Account>> {
        let db = store.read();
        let mut ids: Vec<AccountId> = Vec::new();
        let mut subjects: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut addresses: Vec<&EmailAddress> = Vec::new();
        for key in &self.accounts {
            match key {
                AccountKey::Id(id) => ids.push(*id),
                AccountKey::Subject { issuer, subject } => {
                    subjects.entry(issuer).or_default().push(subject);
                }
                AccountKey::Email(email) => addresses.push(email),
            }
        }
        let mut found = transfer::accounts_with_ids(db, &ids).await?;
        for (issuer, subjects) in subjects {
            found.extend(transfer::accounts_with_subjects(db, issuer, &subjects).await?);
        }
        found.extend(transfer::accounts_with_addresses(db, &addresses).await?);
        Ok(found)
    }

    /// The named organizations that are in the store.
    pub(super) async fn organizations(&self, store: &Store) -> Result<Vec<Organization>> {
        let ids: Vec<_> = self.organizations.iter().copied().collect();
        transfer::organizations_with_ids(store.read(), &ids).await
    }
}

/// Finds the members and invites of the store that these lines refer to.
pub(super) async fn known(store: &Store, resolved: &[Resolved]) -> Result<Known> {
    let db = store.read();
    let (mut ids, mut invites) = (Vec::new(), Vec::new());
    let mut accounts: HashMap<OrganizationId, Vec<AccountId>> = HashMap::new();
    for one in resolved {
        match one {
            Resolved::Member(_, record, account, id) => {
                ids.push(*id);
                if record.departure.is_none() {
                    accounts.entry(record.organization).or_default().push(*account);
                }
            }
            Resolved::Invitation(_, record, inviter, id) => {
                invites.push(*id);
                accounts.entry(record.organization).or_default().extend(*inviter);
            }
        }
    }
    let members = transfer::members_with_ids(db, &ids).await?;
    let mut known = Known {
        members: members.into_iter().map(|member| (member.id, member)).collect(),
        invites: transfer::existing_invites(db, &invites).await?.into_iter().collect(),
        ..Known::default()
    };
    for (organization, accounts) in accounts {
        for member in transfer::current_members(db, organization, &accounts).await? {
            known.current.insert((organization, member.account), member);
        }
    }
    Ok(known)
}
