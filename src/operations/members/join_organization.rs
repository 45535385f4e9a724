//! `JoinOrganization`
//!
//! One operation for every door, in one transaction under the organization's
//! row lock. The order of the rules is part of the contract: a retry after a
//! lost answer comes first, then whether the way in exists at all, and only then
//! what the caller may be told about it.

use super::admit;
use crate::domain::{
    Departure, InviteId, InviteToken, JoinedBy, Member, MemberProfile, MemberStatus, Organization,
    OrganizationId, Role, Timestamp,
};
use crate::error::{Error, Result, reason};
use crate::operations::access::suspended;
use crate::operations::{Call, Context};
use crate::storage::{Tx, invites, members, organizations};

/// How to get in.
#[derive(Debug, Clone, Copy)]
pub enum JoinBy {
    /// With the token of an invite.
    Invite(InviteToken),
    /// By the organization's id: as its creator, or by mail domain.
    Organization(OrganizationId),
}

/// Makes the caller a member, or answers the membership there is.
pub async fn join_organization(cx: &Context, call: &Call, by: JoinBy) -> Result<MemberProfile> {
    let now = cx.now();
    let (organization, invite) = match by {
        JoinBy::Organization(id) => (id, None),
        JoinBy::Invite(token) => {
            // Looked up without a lock, for the organization to lock; everything
            // is read again under it. Unknown tokens never reach the writer.
            let (invite, organization) = invites::find_by_token(cx.store.read(), &token.hash())
                .await?
                .ok_or_else(Error::not_found)?;
            (organization.id, Some(invite.id))
        }
    };
    if !call.caller.reaches(organization) {
        return Err(Error::not_found());
    }
    let call = call.clone();
    cx.store
        .write(async move |tx| {
            let organization =
                organizations::lock(tx, organization).await?.ok_or_else(Error::not_found)?;
            let account = call.caller.account.id;
            let current = members::current(tx, organization.id, account).await?;
            match invite {
                Some(invite) => with_invite(tx, &call, organization, current, invite, now).await,
                None => by_id(tx, &call, organization, current, now).await,
            }
        })
        .await
}

async fn with_invite(
    tx: &Tx,
    call: &Call,
    mut organization: Organization,
    current: Option<Member>,
    invite: InviteId,
    now: Timestamp,
) -> Result<MemberProfile> {
    let account = &call.caller.account;
    if let Some(member) = &current
        && member.status == MemberStatus::Active
        && member.invite == Some(invite)
    {
        return Ok(MemberProfile { member: member.clone(), profile: account.profile.clone() });
    }
    let invite = invites::find(tx, organization.id, invite)
        .await?
        .filter(|invite| invite.is_live(now))
        .ok_or_else(Error::not_found)?;
    if let Some(member) = current {
        return already_there(call, member);
    }
    if let Some(left) = removal(tx, call, &organization).await?
        && invite.version <= left.version
    {
        return Err(Error::not_found());
    }
    // Whatever ends an inviter's authority ends the invite as well; this holds
    // even if a row was edited by hand.
    let inviter = members::find(tx, organization.id, invite.inviter).await?;
    let stands = inviter.is_some_and(|inviter| {
        inviter.status == MemberStatus::Active && inviter.role.may_grant(invite.role)
    });
    if !stands {
        return Err(Error::not_found());
    }
    require_seat(&organization)?;
    if !invites::consume(tx, &invite, now).await? {
        return Err(Error::not_found());
    }
    let by = JoinedBy::Invite;
    let actor = call.actor();
    admit(tx, &mut organization, account, invite.role, by, Some(invite.id), &actor, now).await
}

async fn by_id(
    tx: &Tx,
    call: &Call,
    mut organization: Organization,
    current: Option<Member>,
    now: Timestamp,
) -> Result<MemberProfile> {
    if let Some(member) = current {
        return already_there(call, member);
    }
    let account = &call.caller.account;
    let has_admin = members::has_active_admin(tx, organization.id, None).await?;
    let domain = account.profile.verified_email().and_then(|email| email.domain());
    let admitted = if !has_admin && organization.creator == account.id {
        Some((Role::Admin, JoinedBy::Creation))
    } else if has_admin && domain.is_some_and(|own| organization.invite_domains.contains(&own)) {
        Some((Role::Member, JoinedBy::Domain))
    } else {
        None
    };
    let (role, by) = admitted.ok_or_else(Error::not_found)?;
    if removal(tx, call, &organization).await?.is_some() {
        return Err(Error::not_found());
    }
    require_seat(&organization)?;
    admit(tx, &mut organization, account, role, by, None, &call.actor(), now).await
}

fn already_there(call: &Call, member: Member) -> Result<MemberProfile> {
    match member.status {
        MemberStatus::Active => {
            Ok(MemberProfile { member, profile: call.caller.account.profile.clone() })
        }
        _ => Err(suspended()),
    }
}

/// The caller's last departure, if an admin removed them.
async fn removal(tx: &Tx, call: &Call, organization: &Organization) -> Result<Option<Departure>> {
    let account = call.caller.account.id;
    let last = members::last_departure(tx, organization.id, account).await?;
    Ok(last.filter(|left| left.removed))
}

fn require_seat(organization: &Organization) -> Result<()> {
    if organization.has_seat() {
        return Ok(());
    }
    Err(Error::precondition(reason::SEAT_LIMIT, "every seat of this organization is taken"))
}
