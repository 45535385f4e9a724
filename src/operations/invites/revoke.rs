//! `guestlist.v1.InviteService/Revoke`

use uuid::Uuid;

use super::{advance, load, record};
use crate::domain::{
    Action, EndReason, Ending, Invite, InviteData, InviteId, OrganizationId, Permission,
};
use crate::error::Result;
use crate::operations::access::Access;
use crate::operations::idempotency::{Idempotency, RequestToken};
use crate::operations::{Context, RequestContext};
use crate::storage::change;
use crate::storage::invites;

#[derive(Debug, Clone)]
pub struct Revoke {
    pub organization: OrganizationId,
    pub id: InviteId,
    pub request: Option<RequestToken>,
}

#[derive(Debug, Clone)]
pub struct Revoked {
    pub invite: Invite,
    /// Whether this request ended the invite, or the original request if this one is a retry.
    pub was_live: bool,
}

/// Revokes an invite. An invite that has already ended is not changed. Only admins may do this.
pub async fn revoke(cx: &Context, call: &RequestContext, input: Revoke) -> Result<Revoked> {
    let now = cx.now();
    let idempotency =
        Idempotency::new(call, input.organization, "Revoke", input.request.as_ref(), |encoding| {
            encoding.id(input.id)
        });
    let call = call.clone();
    cx.store
        .write_in(
            input.organization,
            change!(async move |tx| {
                let manage = Permission::ManageInvites;
                let mut access =
                    Access::to_change(tx, &call.caller, input.organization, manage, now).await?;
                let (invite, _) = load(tx, input.organization, input.id).await?;
                let again = idempotency.lookup::<Uuid>(tx, now).await?.is_some();
                if again || !invite.is_live(now) {
                    return Ok(Revoked { invite, was_live: again });
                }
                let ending =
                    Ending { at: now, by: Some(access.member.id), reason: EndReason::Revoked };
                invites::end(tx, input.organization, input.id, &ending).await?;
                advance(tx, &mut access.organization).await?;
                let data = InviteData::from(&invite).ended(EndReason::Revoked);
                let (version, actor) = (access.organization.at_version(), call.actor());
                record(tx, Action::InviteRevoked, data, version, &actor, String::new(), now)
                    .await?;
                idempotency.store(tx, &Uuid::from(invite.id), now).await?;
                let (invite, _) = load(tx, input.organization, input.id).await?;
                Ok(Revoked { invite, was_live: true })
            }),
        )
        .await
}
