//! `guestlist.v1.JoinRequestService/ApproveJoinRequest`

use std::sync::Arc;

use futures_util::future::try_join3;

use super::record::{JoinRequestRef, decided, record};
use crate::domain::{
    Action, Attributes, Decision, EndReason, Invite, JoinRequest, JoinRequestState, JoinedBy,
    Membership, Permission, Role, Timestamp,
};
use crate::error::{Error, Result, reason};
use crate::operations::access::Access;
use crate::operations::attributes::inherited;
use crate::operations::invites::end;
use crate::operations::members::{Admission, admit, pending_invitation, require_seat};
use crate::operations::notices::enqueue_request_decided;
use crate::operations::{Context, RequestContext};
use crate::storage::{Tx, accounts, change, invites, join_requests, members};

#[derive(Debug, Clone)]
pub struct ApproveJoinRequest {
    pub of: JoinRequestRef,
    /// `None`: the role of the link; `Member` if the request has no link.
    pub role: Option<Role>,
    /// When the membership ends. `None`: the end that the link sets, if any.
    pub expires_at: Option<Timestamp>,
}

/// Makes the account of a request a member. If the request is already approved and its membership
/// is still current, both are returned unchanged. Only admins may do this, and they cannot grant a
/// role above their own.
pub async fn approve_join_request(
    cx: &Context,
    call: &RequestContext,
    input: ApproveJoinRequest,
) -> Result<(JoinRequest, Membership)> {
    let now = cx.now();
    let ApproveJoinRequest { of, role, expires_at } = input;
    let (issuers, call) = (Arc::clone(&cx.issuers), call.clone());
    let approved = change!(async move |tx| {
        let manage = Permission::ManageMembers;
        let access = Access::to_change(tx, &call.caller, of.organization, manage, now).await?;
        let mut organization = access.organization;
        let found = join_requests::find(tx, organization.id, of.id).await?;
        let request = found.ok_or_else(Error::not_found)?;
        let id = request.account;
        // The three statements are sent together and run in this order.
        let account = accounts::lock_profile(tx, id);
        let current = members::current(tx, organization.id, id);
        let removal = members::last_removal(tx, organization.id, id);
        let (account, current, removal) = try_join3(account, current, removal).await?;
        match (request.state, current) {
            (JoinRequestState::Pending, None) => {}
            (JoinRequestState::Approved, Some(member)) if Some(member.id) == request.member => {
                return Ok((request, Membership::from(&member)));
            }
            _ => return Err(decided()),
        }
        // A request is older than a removal only if rows were edited by hand.
        if removal.is_some_and(|left| request.version <= left.version) {
            return Err(decided());
        }
        let mut account = account.ok_or_else(Error::not_found)?;
        let link = link_of(tx, &request, now).await?;
        let role = role.unwrap_or(link.as_ref().map_or(Role::Member, |link| link.role));
        if !access.member.role.may_grant(role) {
            return Err(Error::permission_denied("you cannot grant a role above your own"));
        }
        if expires_at.is_some_and(|end| end <= now) {
            return Err(Error::invalid("expire_time", "must be in the future"));
        }
        let of_link = link.as_ref().and_then(|link| link.member_end);
        let expires_at = expires_at.or(of_link.map(|end| end.of(now)));
        require_seat(&organization)?;
        if let Some(link) = &link
            && !invites::consume(tx, link, now).await?
        {
            return Err(link_ended());
        }
        issuers.limit(&mut account);
        let actor = call.actor();
        let attributes = match &link {
            Some(link) => inherited(tx, link).await?,
            None => Attributes::default(),
        };
        let admission = Admission {
            account: &account,
            role,
            by: if link.is_some() { JoinedBy::Invite } else { JoinedBy::Domain },
            invite: link.as_ref(),
            reserved: None,
            attributes,
            expires_at,
            actor: &actor,
        };
        let member = admit(tx, &mut organization, admission, now).await?.member;
        let version = organization.at_version();
        let decision = Decision { by: Some(access.member.id), ..Decision::at(now) };
        let mut request = request.decided(JoinRequestState::Approved, decision);
        request.member = Some(member.id);
        join_requests::decide(tx, &request).await?;
        record(tx, Action::JoinRequestApproved, &request, version, &actor, now).await?;
        enqueue_request_decided(tx, &request, &actor, now).await?;
        if let Some(pending) = pending_invitation(tx, version, &account, now).await? {
            end(tx, &pending, EndReason::AlreadyMember, version, &actor, now).await?;
        }
        Ok((request, Membership::from(&member)))
    });
    cx.store.write_in(of.organization, approved).await
}

/// The link of a request, which must still be live.
async fn link_of(tx: &Tx, request: &JoinRequest, now: Timestamp) -> Result<Option<Invite>> {
    let Some(id) = request.invite else { return Ok(None) };
    let link = invites::find(tx, request.organization, id).await?;
    link.filter(|link| link.is_live(now)).map(Some).ok_or_else(link_ended)
}

fn link_ended() -> Error {
    let what = "the link of the request has ended: deny the request, or add the member";
    Error::precondition(reason::INVITE_ENDED, what)
}
