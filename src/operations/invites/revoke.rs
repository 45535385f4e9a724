//! `guestlist.v1.InviteService/Revoke`

use uuid::Uuid;

use super::{advance, found, record};
use crate::domain::{Action, EndReason, Ending, Invite, InviteId, OrganizationId, Permission};
use crate::error::Result;
use crate::operations::access::Access;
use crate::operations::idempotency::{Idempotency, RequestToken};
use crate::operations::{Context, RequestContext};
use crate::storage::invites;

/// Which invite to take back.
#[derive(Debug, Clone)]
pub struct Revoke {
    /// In which organization.
    pub organization: OrganizationId,
    /// Which invite.
    pub id: InviteId,
    /// The caller's id for this request.
    pub request: Option<RequestToken>,
}

/// The invite, ended.
#[derive(Debug, Clone)]
pub struct Revoked {
    /// The invite.
    pub invite: Invite,
    /// Whether it was live until now.
    pub was_live: bool,
}

/// Ends an invite; one that has ended stays as it is. Admins may.
pub async fn revoke(cx: &Context, call: &RequestContext, input: Revoke) -> Result<Revoked> {
    let now = cx.now();
    let idempotency =
        Idempotency::new(call, input.organization, "Revoke", input.request.as_ref(), |encoding| {
            encoding.id(input.id)
        });
    let call = call.clone();
    cx.store
        .write(async move |tx| {
            let manage = Permission::ManageInvites;
            let mut access =
                Access::to_change(tx, &call.caller, input.organization, manage).await?;
            let (invite, _) = found(tx, input.organization, input.id).await?;
            let again = idempotency.lookup::<Uuid>(tx, now).await?.is_some();
            if again || !invite.is_live(now) {
                return Ok(Revoked { invite, was_live: again });
            }
            let ending = Ending { at: now, by: Some(access.member.id), reason: EndReason::Revoked };
            invites::end(tx, input.organization, input.id, &ending).await?;
            advance(tx, &mut access.organization).await?;
            record(tx, Action::InviteRevoked, &invite, &call.actor(), String::new(), now).await?;
            idempotency.store(tx, &Uuid::from(invite.id), now).await?;
            let (invite, _) = found(tx, input.organization, input.id).await?;
            Ok(Revoked { invite, was_live: true })
        })
        .await
}
