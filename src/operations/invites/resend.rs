//! `guestlist.v1.InviteService/Resend`

use std::sync::Arc;

use uuid::Uuid;

use super::{advance, check_grantable, email_expiry, invite_ended, load, record, tokens};
use crate::domain::{
    Action, Delivery, Invite, InviteData, InviteId, InviteKind, InviteToken, OrganizationId,
    Permission, Timestamp,
};
use crate::error::{Error, Result, reason};
use crate::operations::access::Access;
use crate::operations::budget::Budget;
use crate::operations::encoding::Encoding;
use crate::operations::idempotency::{Idempotency, RequestToken};
use crate::operations::{Context, RequestContext};
use crate::storage::change;
use crate::storage::{invites, outbox};

#[derive(Debug, Clone)]
pub struct Resend {
    pub organization: OrganizationId,
    pub id: InviteId,
    /// `None`: the configured lifetime, from now.
    pub expires_at: Option<Timestamp>,
    pub request: Option<RequestToken>,
}

/// Sends an email invitation again with a new token; the previous token stops working. The caller
/// becomes the inviter, so the invitation's role must not be above the caller's. Only admins may do
/// this.
pub async fn resend(cx: &Context, call: &RequestContext, input: Resend) -> Result<Invite> {
    let now = cx.now();
    let idempotency =
        Idempotency::new(call, input.organization, "Resend", input.request.as_ref(), |encoding| {
            encoding.id(input.id).option(input.expires_at, Encoding::time)
        });
    let budget = Budget::new(cx, call, input.organization);
    let lifetime = cx.rules.email_invitation_lifetime;
    let (keyring, call) = (Arc::clone(&cx.keyring), call.clone());
    let invite = cx
        .store
        .write_in(
            input.organization,
            change!(async move |tx| {
                let manage = Permission::ManageInvites;
                let mut access =
                    Access::to_change(tx, &call.caller, input.organization, manage, now).await?;
                let (mut invite, _) = load(tx, input.organization, input.id).await?;
                if idempotency.lookup::<Uuid>(tx, now).await?.is_some() {
                    return Ok(invite);
                }
                let expires_at = email_expiry(input.expires_at, lifetime, now)?;
                if invite.kind != InviteKind::Email {
                    return Err(Error::precondition(
                        reason::NOT_AN_EMAIL_INVITATION,
                        "only an email invitation can be sent again",
                    ));
                }
                if !invite.is_live(now) {
                    return Err(invite_ended());
                }
                check_grantable(&access, invite.role)?;
                budget.spend_on_mail(invite.email.as_slice().iter())?;
                advance(tx, &mut access.organization).await?;
                invite.inviter = access.member.id;
                invite.version = access.organization.version;
                invite.expires_at = invite.capped_expiry(Some(expires_at));
                invite.delivery = Some(Delivery::Pending);
                invite.reminders = 0;
                let token = InviteToken::generate().map_err(Error::internal)?;
                invites::renew(tx, &invite, tokens::seal(&keyring, &invite, &token)?).await?;
                outbox::enqueue(tx, invite.organization, invite.id, call.trace, now).await?;
                let (data, actor) = (InviteData::from(&invite), call.actor());
                let version = access.organization.at_version();
                record(tx, Action::InviteResent, data, version, &actor, String::new(), now).await?;
                idempotency.store(tx, &Uuid::from(invite.id), now).await?;
                Ok(invite)
            }),
        )
        .await?;
    cx.mail_wakeup.notify_one();
    Ok(invite)
}
