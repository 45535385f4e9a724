//! `guestlist export`

use crate::domain::transfer::{
    AccountKey, AccountRecord, DepartureRecord, InvitationRecord, MemberRecord, OrganizationRecord,
    Record,
};
use crate::domain::{Account, AccountId, Invite, Member, Organization, Timestamp};
use crate::error::{Error, Result};
use crate::storage::transfer;
use crate::storage::{Snapshot, Store};

/// The number of rows that are read at a time.
const PAGE: u64 = 1000;

/// The number of records of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub accounts: u64,
    pub organizations: u64,
    /// Current memberships.
    pub members: u64,
    /// Memberships that have ended.
    pub departures: u64,
    pub invitations: u64,
}

/// Passes all records of a store to `write`, as they are at one moment. A record follows the
/// records that it refers to.
///
/// # Errors
/// The error of `write`, or if the store cannot be read.
pub async fn export(
    store: &Store,
    now: Timestamp,
    mut write: impl FnMut(Record) -> Result<()>,
) -> Result<Counts> {
    store.read_snapshot(async |snapshot| pass_all(snapshot, now, &mut write).await).await
}

async fn pass_all(
    db: &Snapshot,
    now: Timestamp,
    write: &mut impl FnMut(Record) -> Result<()>,
) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut after = None;
    loop {
        let page = transfer::accounts(db, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for account in page {
            counts.accounts += 1;
            write(Record::Account(account.into()))?;
        }
    }
    let mut after = None;
    loop {
        let page = transfer::organizations(db, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for organization in page {
            counts.organizations += 1;
            write(Record::Organization(organization.into()))?;
        }
    }
    let mut after = None;
    loop {
        let page = transfer::members(db, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for member in page {
            match member.departure {
                Some(_) => counts.departures += 1,
                None => counts.members += 1,
            }
            write(Record::Member(member.into()))?;
        }
    }
    let mut after = None;
    loop {
        let page = transfer::invitations(db, after, now, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.id);
        for (invite, inviter) in page {
            counts.invitations += 1;
            write(Record::Invitation(invitation(invite, inviter)?))?;
        }
    }
    Ok(counts)
}

impl From<Account> for AccountRecord {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            issuer: account.issuer,
            subject: account.subject,
            kind: account.kind,
            profile: account.profile,
            created_at: Some(account.created_at),
            updated_at: account.updated_at,
        }
    }
}

impl From<Organization> for OrganizationRecord {
    fn from(organization: Organization) -> Self {
        Self {
            id: organization.id,
            name: organization.name,
            invite_domains: organization.invite_domains,
            tier: organization.tier,
            creator: Some(AccountKey::Id(organization.creator)),
            created_at: Some(organization.created_at),
            updated_at: Some(organization.updated_at),
            version: Some(organization.version),
            seat_limit: Some(organization.seat_limit),
            attributes: organization.attributes,
        }
    }
}

impl From<Member> for MemberRecord {
    fn from(member: Member) -> Self {
        Self {
            id: Some(member.id),
            organization: member.organization,
            account: AccountKey::Id(member.account),
            role: member.role,
            status: member.status,
            joined_at: Some(member.joined_at),
            joined_by: member.joined_by,
            expires_at: member.expires_at,
            attributes: member.attributes,
            departure: member.departure.map(|left| DepartureRecord {
                at: left.at,
                removed: left.removed,
                version: Some(left.version),
            }),
        }
    }
}

fn invitation(invite: Invite, inviter: AccountId) -> Result<InvitationRecord> {
    let email = invite.email.ok_or_else(|| Error::internal("an invitation has no address"))?;
    Ok(InvitationRecord {
        id: Some(invite.id),
        organization: invite.organization,
        email,
        role: invite.role,
        inviter: Some(AccountKey::Id(inviter)),
        sso: invite.sso,
        member: invite.member,
        note: invite.note,
        created_at: Some(invite.created_at),
        expires_at: invite.expires_at,
        version: Some(invite.version),
        attributes: invite.attributes,
        member_end: invite.member_end,
        continue_url: invite.continue_url,
        locale: invite.locale,
    })
}
