//! The last step of every way in: member row, counters, audit event.

use crate::domain::{
    Account, Action, Actor, InviteId, JoinedBy, Member, MemberId, MemberProfile, MemberStatus,
    Organization, Role, TargetKind, Timestamp,
};
use crate::error::Result;
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::{Tx, members, organizations};

/// Who comes in, and how.
#[derive(Debug)]
pub(in crate::operations) struct Admission<'a> {
    /// The account, as the transaction that admits it has locked it: the member's place
    /// in lists follows its name.
    pub account: &'a Account,
    /// Its role.
    pub role: Role,
    /// How it comes about.
    pub by: JoinedBy,
    /// The invite it comes about with.
    pub invite: Option<InviteId>,
    /// Its id, if that was reserved.
    pub reserved: Option<MemberId>,
    /// To whom it is ascribed.
    pub actor: &'a Actor,
}

/// Makes a member of a locked organization and counts it there.
pub(in crate::operations) async fn admit(
    tx: &Tx,
    organization: &mut Organization,
    admission: Admission<'_>,
    now: Timestamp,
) -> Result<MemberProfile> {
    let Admission { account, role, by, invite, reserved, actor } = admission;
    let member = Member {
        id: reserved.unwrap_or_else(|| MemberId::generate(now)),
        organization: organization.id,
        account: account.id,
        role,
        status: MemberStatus::Active,
        joined_at: now,
        joined_by: by,
        invite,
        departure: None,
    };
    members::insert(tx, &member, &account.profile).await?;
    organization.member_count += 1;
    organization.version += 1;
    organizations::update(tx, organization).await?;
    let event = NewEvent {
        action: Action::MemberJoined,
        target_kind: TargetKind::Member,
        target_id: member.id.to_string(),
        organization: Some(organization.id),
        actor,
        note: match invite {
            Some(invite) => format!("as {role}, by {} {invite}", by.as_str()),
            None => format!("as {role}, by {}", by.as_str()),
        },
    };
    audit_events::append(tx, event, now).await?;
    Ok(MemberProfile { member, profile: account.profile.clone() })
}
