//! `guestlist.v1.MemberService/AddMember`

use std::sync::Arc;

use futures_util::future::try_join;
use uuid::Uuid;

use super::admit::{Admission, admit, pending_invitation, require_seat};
use crate::domain::{
    AccountId, Attributes, EndReason, JoinedBy, MemberStatus, Membership, OrganizationId,
    Permission, Role, Timestamp,
};
use crate::error::{Error, Result, reason};
use crate::operations::access::Access;
use crate::operations::attributes::{encode, require_free_for_member};
use crate::operations::budget::Budget;
use crate::operations::idempotency::{Idempotency, RequestToken};
use crate::operations::invites::end;
use crate::operations::join_requests::end as end_request;
use crate::operations::{Context, RequestContext};
use crate::storage::{accounts, change, join_requests, members};

#[derive(Debug, Clone)]
pub struct AddMember {
    pub organization: OrganizationId,
    pub account: AccountId,
    pub role: Role,
    pub attributes: Attributes,
    /// When the membership ends.
    pub expires_at: Option<Timestamp>,
    pub request: Option<RequestToken>,
}

/// Makes an account a member without an invite, or returns its existing membership with an
/// unchanged role. The rules are those of a join with an invite that was made now: an earlier
/// removal does not count. Only admins may do this.
pub async fn add_member(
    cx: &Context,
    call: &RequestContext,
    input: AddMember,
) -> Result<Membership> {
    let now = cx.now();
    let budget = Budget::new(cx, call, input.organization);
    let idempotency = Idempotency::new(
        call,
        input.organization,
        "AddMember",
        input.request.as_ref(),
        |encoding| {
            let encoding = encoding.id(input.account).text(input.role.as_str());
            let encoding = encode(encoding, &input.attributes);
            // Encoded only if it is set: a request without this field keeps the encoding that it
            // had before the field existed.
            match input.expires_at {
                Some(end) => encoding.text("expire_time").time(end),
                None => encoding,
            }
        },
    );
    let (issuers, call) = (Arc::clone(&cx.issuers), call.clone());
    cx.store
        .write_in(
            input.organization,
            change!(async move |tx| {
                let manage = Permission::ManageMembers;
                let access =
                    Access::to_change(tx, &call.caller, input.organization, manage, now).await?;
                let mut organization = access.organization;
                if let Some(first) = idempotency.lookup::<Uuid>(tx, now).await? {
                    let member = members::find(tx, organization.id, first.into()).await?;
                    return member.as_ref().map(Membership::from).ok_or_else(Error::not_found);
                }
                if !access.member.role.may_grant(input.role) {
                    return Err(Error::permission_denied("you cannot grant a role above your own"));
                }
                let account = accounts::lock_profile(tx, input.account);
                let current = members::current(tx, organization.id, input.account);
                let (account, current) = try_join(account, current).await?;
                let mut account = account.ok_or_else(Error::not_found)?;
                if let Some(member) = current {
                    if member.status != MemberStatus::Active {
                        let what = "this account is a suspended member: restore the member instead";
                        return Err(Error::precondition(reason::SUSPENDED, what));
                    }
                    idempotency.store(tx, &Uuid::from(member.id), now).await?;
                    return Ok(Membership::from(&member));
                }
                if input.expires_at.is_some_and(|end| end <= now) {
                    return Err(Error::invalid("expire_time", "must be in the future"));
                }
                require_seat(&organization)?;
                let external_id = input.attributes.external_id.as_ref();
                require_free_for_member(tx, organization.id, external_id).await?;
                budget.spend_on_link()?;
                issuers.limit(&mut account);
                let actor = call.actor();
                let admission = Admission {
                    account: &account,
                    role: input.role,
                    by: JoinedBy::Admin,
                    invite: None,
                    reserved: None,
                    attributes: input.attributes.clone(),
                    expires_at: input.expires_at,
                    actor: &actor,
                };
                let added = admit(tx, &mut organization, admission, now).await?.member;
                let version = organization.at_version();
                if let Some(pending) = pending_invitation(tx, version, &account, now).await? {
                    end(tx, &pending, EndReason::AlreadyMember, version, &actor, now).await?;
                }
                let request = join_requests::pending(tx, organization.id, account.id).await?;
                if let Some(request) = request {
                    end_request(tx, request, version, &actor, now).await?;
                }
                idempotency.store(tx, &Uuid::from(added.id), now).await?;
                Ok(Membership::from(&added))
            }),
        )
        .await
}
