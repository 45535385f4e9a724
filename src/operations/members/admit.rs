//! The last steps of every way to join: seat, member row, counters, audit event, and the pending
//! invitation of the new member.

use crate::domain::{
    Account, Action, Actor, Attributes, EventData, Invite, JoinedBy, Member, MemberData, MemberId,
    MemberProfile, MemberStatus, Organization, OrganizationVersion, Role, Timestamp,
};
use crate::error::{Error, Result, reason};
use crate::operations::invites::expire;
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::{Tx, invites, members, organizations};

/// A new membership.
#[derive(Debug)]
pub(in crate::operations) struct Admission<'a> {
    /// Must have been locked by this transaction: the member row stores a copy of its name
    /// for ordering.
    pub account: &'a Account,
    pub role: Role,
    pub by: JoinedBy,
    /// The invite that is used, as it was before this use.
    pub invite: Option<&'a Invite>,
    /// The membership id that an email invitation reserved.
    pub reserved: Option<MemberId>,
    pub attributes: Attributes,
    /// When the membership ends; must be in the future.
    pub expires_at: Option<Timestamp>,
    pub actor: &'a Actor,
}

/// Inserts the member and updates the count of the organization, whose row must be locked.
pub(in crate::operations) async fn admit(
    tx: &Tx,
    organization: &mut Organization,
    admission: Admission<'_>,
    now: Timestamp,
) -> Result<MemberProfile> {
    let Admission { account, role, by, invite: used, reserved, attributes, expires_at, actor } =
        admission;
    let invite = used.map(|invite| invite.id);
    let member = Member {
        id: reserved.unwrap_or_else(|| MemberId::generate(now)),
        organization: organization.id,
        account: account.id,
        role,
        status: MemberStatus::Active,
        joined_at: now,
        joined_by: by,
        invite,
        attributes,
        expires_at,
        departure: None,
    };
    members::insert(tx, &member, &account.profile).await?;
    organization.member_count += 1;
    organization.add_member_end(expires_at);
    organization.version += 1;
    organizations::update(tx, organization).await?;
    let event = NewEvent {
        action: Action::MemberJoined,
        data: EventData::Member(MemberData {
            used: used.map(|invite| (invite.id, invite.is_last_use())),
            ..MemberData::from(&member)
        }),
        organization: Some(organization.at_version()),
        actor,
        note: match invite {
            Some(invite) => format!("as {role}, by {} {invite}", by.as_str()),
            None => format!("as {role}, by {}", by.as_str()),
        },
    };
    audit_events::append(tx, event, now).await?;
    Ok(MemberProfile { member, profile: account.profile.clone() })
}

/// # Errors
/// FAILED_PRECONDITION if no seat is left.
pub(in crate::operations) fn require_seat(organization: &Organization) -> Result<()> {
    if organization.has_seat() {
        return Ok(());
    }
    let what = "every seat of this organization is taken";
    Err(Error::precondition(reason::SEAT_LIMIT, what))
}

/// The live email invitation of the account's verified address. Ends an expired one, with this
/// version of the organization.
pub(in crate::operations) async fn pending_invitation(
    tx: &Tx,
    organization: OrganizationVersion,
    account: &Account,
    now: Timestamp,
) -> Result<Option<Invite>> {
    let Some(own) = account.profile.verified_email() else { return Ok(None) };
    let pending = invites::pending_of_address(tx, organization.id, own).await?;
    match pending {
        Some(invite) if !invite.is_live(now) => {
            expire(tx, &invite, organization, now).await?;
            Ok(None)
        }
        pending => Ok(pending),
    }
}
