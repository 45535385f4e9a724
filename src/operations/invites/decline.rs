//! `guestlist.v1.InviteService/Decline`

use uuid::Uuid;

use super::inviters::inviter_membership_expired;
use super::token_or_id::{TokenOrId, find_by_token_or_id, find_under_lock};
use super::{advance, record};
use crate::domain::{Action, EndReason, Ending, Invite, InviteData, InviteKind};
use crate::error::{Error, Result, reason};
use crate::operations::budget::count_join;
use crate::operations::idempotency::{Idempotency, RequestToken};
use crate::operations::members::lock_and_end_due;
use crate::operations::{Context, RequestContext};
use crate::storage::change;
use crate::storage::invites;

#[derive(Debug, Clone)]
pub struct Decline {
    pub name: TokenOrId,
    pub request: Option<RequestToken>,
}

/// Declines an email invitation. The caller's verified address must be the invited one. A caller
/// that has the token of a live invitation, but not the invited address, receives an error with the
/// reason. Every other rejection of the invitation is NOT_FOUND.
pub async fn decline(cx: &Context, call: &RequestContext, input: Decline) -> Result<()> {
    count_join(cx, call)?;
    let now = cx.now();
    let Decline { name, request } = input;
    let (invite, organization) = find_by_token_or_id(cx.store.read(), call, &name).await?;
    if !call.caller.reaches(organization.id) || invite.kind != InviteKind::Email {
        return Err(Error::not_found());
    }
    if let Err(rejection) = check_recipient(call, &invite) {
        let db = cx.store.read();
        let is_live = invite.is_live(now)
            && !inviter_membership_expired(db, &organization, &invite, now).await?;
        return Err(if is_live { rejection } else { Error::not_found() });
    }

    let idempotency =
        Idempotency::new(call, organization.id, "Decline", request.as_ref(), |encoding| {
            encoding.id(invite.id)
        });
    let (call, id) = (call.clone(), invite.id);
    cx.store
        .write_in(
            organization.id,
            change!(async move |tx| {
                let locked = lock_and_end_due(tx, organization.id, now).await?;
                let mut organization = locked.ok_or_else(Error::not_found)?;
                if idempotency.lookup::<Uuid>(tx, now).await?.is_some() {
                    return Ok(());
                }
                let invite = find_under_lock(tx, &call, &name, organization.id, id).await?;
                if !invite.is_live(now) {
                    return Err(Error::not_found());
                }
                let ending = Ending { at: now, by: None, reason: EndReason::Declined };
                invites::end(tx, organization.id, id, &ending).await?;
                advance(tx, &mut organization).await?;
                let data = InviteData::from(&invite).ended(EndReason::Declined);
                let (version, actor) = (organization.at_version(), call.actor());
                record(tx, Action::InviteDeclined, data, version, &actor, String::new(), now)
                    .await?;
                idempotency.store(tx, &Uuid::from(id), now).await
            }),
        )
        .await
}

fn check_recipient(call: &RequestContext, invite: &Invite) -> Result<()> {
    let denied = |reason, message: &str| Err(Error::permission_denied(message).with_reason(reason));
    match call.caller.account.profile.verified_email() {
        None => denied(reason::EMAIL_UNVERIFIED, "your account has no verified mail address"),
        own if invite.email.as_ref() != own => {
            denied(reason::EMAIL_MISMATCH, "this invitation is for another address")
        }
        Some(_) => Ok(()),
    }
}
