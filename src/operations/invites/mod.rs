//! Invites. The operations are the same for all contracts (`gitpod.v1`, `guestlist.v1`,
//! ClickHouse, GitBook).

mod carried;
mod create_link;
mod create_organization_invite;
mod decline;
mod ending;
mod expiry;
mod find_link;
mod get;
mod get_organization_invite;
mod get_organization_invite_summary;
mod invite_by_email;
mod invite_one;
mod inviters;
mod list;
mod list_my_invitations;
mod preview;
mod resend;
mod revoke;
mod token_or_id;
mod tokens;
mod update;

pub(in crate::operations) use carried::shown_continue_url;
pub use create_link::{CreateLink, LinkGrants, create_link};
pub use create_organization_invite::create_organization_invite;
pub use decline::{Decline, decline};
use ending::record;
pub(in crate::operations) use ending::{end, end_all_of, event};
pub(in crate::operations) use expiry::expire;
pub use expiry::{ExpiryRun, end_expired};
pub use find_link::{find_link, grantable_roles, is_redundant};
pub use get::get;
pub use get_organization_invite::get_organization_invite;
pub use get_organization_invite_summary::get_organization_invite_summary;
pub use invite_by_email::{Invitation, InviteByEmail, Invited, Outcome, invite_by_email};
pub use invite_one::{InviteOne, invite_one};
pub use inviters::inviter_membership_expired;
pub use list::{InviteList, ListInvites, list};
pub use list_my_invitations::{MyInvitations, list_my_invitations};
pub use preview::{InviteSummary, preview};
pub use resend::{Resend, resend};
pub use revoke::{Revoke, Revoked, revoke};
pub use token_or_id::TokenOrId;
pub(in crate::operations) use token_or_id::{find_by_token_or_id, find_under_lock};
pub(in crate::operations) use tokens::seal;
pub use tokens::{InviteWithToken, unseal};
pub use update::{Update, update};

pub use crate::operations::idempotency::RequestToken;
pub use crate::storage::invite_lists::{InviteFilter, Order};

use std::time::Duration;

use crate::domain::{
    Action, Attributes, EndReason, Ending, Invite, InviteData, InviteId, InviteKind, InviteState,
    InviteToken, MemberEnd, MemberId, Organization, OrganizationId, Role, Timestamp,
};
use crate::error::{Error, Result, reason};
use crate::keyring::Keyring;
use crate::operations::RequestContext;
use crate::operations::access::Access;
use crate::storage::{Tx, invites, organizations};

/// The shortest and the longest lifetime of an email invitation.
const EMAIL_LIFETIME: (Duration, Duration) =
    (Duration::from_secs(60 * 60), Duration::from_secs(30 * 24 * 60 * 60));

/// Inserts a new join link; the organization's row must be locked. The previous join link `before`
/// ends first, so that at most one is live at any moment.
async fn rotate_join_link(
    tx: &Tx,
    keyring: &Keyring,
    call: &RequestContext,
    access: Access,
    before: Option<InviteId>,
    now: Timestamp,
) -> Result<InviteToken> {
    let Access { mut organization, member } = access;
    let mut note = String::new();
    if let Some(before) = before {
        let ending = Ending { at: now, by: Some(member.id), reason: EndReason::Replaced };
        invites::end_join_link(tx, organization.id, before, &ending).await?;
        note = format!("replaces {before}");
    }
    advance(tx, &mut organization).await?;
    let version = organization.at_version();

    let token = InviteToken::generate().map_err(Error::internal)?;
    let invite = new_invite(InviteKind::JoinLink, Role::Member, &organization, member.id, now);
    invites::insert(tx, &invite, tokens::seal(keyring, &invite, &token)?).await?;
    let data = InviteData { replaces: before, ..InviteData::from(&invite) };
    record(tx, Action::InviteCreated, data, version, &call.actor(), note, now).await?;
    Ok(token)
}

/// A live invite with all optional fields empty.
fn new_invite(
    kind: InviteKind,
    role: Role,
    organization: &Organization,
    inviter: MemberId,
    now: Timestamp,
) -> Invite {
    Invite {
        id: InviteId::generate(now),
        organization: organization.id,
        kind,
        role,
        content: None,
        email: None,
        allowed_domains: Vec::new(),
        sso: false,
        requires_approval: false,
        member: None,
        note: String::new(),
        attributes: Attributes::default(),
        member_end: None,
        continue_url: None,
        locale: None,
        inviter,
        state: InviteState::Live,
        version: organization.version,
        expires_at: None,
        max_uses: None,
        uses: 0,
        created_at: now,
        ending: None,
        delivery: None,
        reminders: 0,
    }
}

/// Increments the version of an organization, whose row must be locked.
async fn advance(tx: &Tx, organization: &mut Organization) -> Result<()> {
    organization.version += 1;
    organizations::set_version(tx, organization.at_version()).await
}

/// The invite with its sealed token.
///
/// # Errors
/// NOT_FOUND.
async fn load(tx: &Tx, organization: OrganizationId, id: InviteId) -> Result<(Invite, Vec<u8>)> {
    invites::find_with_token(tx, organization, id).await?.ok_or_else(Error::not_found)
}

/// The error for a change of an ended invite.
fn invite_ended() -> Error {
    Error::precondition(reason::INVITE_ENDED, "the invite has ended; create a new one")
}

/// # Errors
/// PERMISSION_DENIED if the role `granted` is higher than the caller's own.
fn check_grantable(access: &Access, granted: Role) -> Result<()> {
    if access.member.role.may_grant(granted) {
        return Ok(());
    }
    Err(Error::permission_denied("you cannot grant a role above your own"))
}

/// The expiry of an email invitation: the requested one, or `lifetime` from now.
///
/// # Errors
/// INVALID_ARGUMENT if the requested one is outside [`EMAIL_LIFETIME`].
fn email_expiry(
    requested: Option<Timestamp>,
    lifetime: Duration,
    now: Timestamp,
) -> Result<Timestamp> {
    let Some(requested) = requested else { return Ok(now.plus(lifetime)) };
    if (now.plus(EMAIL_LIFETIME.0)..=now.plus(EMAIL_LIFETIME.1)).contains(&requested) {
        return Ok(requested);
    }
    Err(Error::invalid("expire_time", "must be 1 hour to 30 days from now"))
}

/// # Errors
/// INVALID_ARGUMENT if the end of memberships is not in the future.
fn check_member_end(end: Option<MemberEnd>, now: Timestamp) -> Result<()> {
    match end {
        Some(MemberEnd::At(end)) if end <= now => {
            Err(Error::invalid("member_expire_time", "must be in the future"))
        }
        _ => Ok(()),
    }
}

/// # Errors
/// INVALID_ARGUMENT if the requested expiry is not in the future.
fn check_link_expiry(requested: Timestamp, now: Timestamp) -> Result<()> {
    if now < requested {
        return Ok(());
    }
    Err(Error::invalid("expire_time", "must be in the future"))
}
