//! `guestlist.v1.InviteService/Decline`

use uuid::Uuid;

use super::{advance, record};
use crate::domain::{
    Action, EndReason, Ending, Invite, InviteId, InviteKind, InviteToken, Organization,
};
use crate::error::{Error, Result, reason};
use crate::operations::budget::count_join;
use crate::operations::idempotency::{Once, RequestToken};
use crate::operations::{Call, Context};
use crate::storage::{Connection, invites, organizations};

/// Which invitation to decline.
#[derive(Debug, Clone)]
pub struct Decline {
    /// How it is named.
    pub by: DeclineBy,
    /// The caller's id for this request.
    pub request: Option<RequestToken>,
}

/// How an invitation is named: a text that may be either.
#[derive(Debug, Clone, Copy)]
pub struct DeclineBy {
    /// As its token.
    pub token: InviteToken,
    /// As its id.
    pub id: InviteId,
}

/// Ends an email invitation by the wish of whom it is for: the caller's verified
/// address must be the invitation's.
pub async fn decline(cx: &Context, call: &Call, input: Decline) -> Result<()> {
    count_join(cx, call)?;
    let now = cx.now();
    let (invite, organization) = find(cx.store.read(), call, &input.by).await?;
    if !call.caller.reaches(organization.id) {
        return Err(Error::not_found());
    }
    let body = invite.id;
    let once = Once::new(call, organization.id, "Decline", input.request.as_ref(), &body);
    let call = call.clone();
    cx.store
        .write(async move |tx| {
            let mut organization =
                organizations::lock(tx, organization.id).await?.ok_or_else(Error::not_found)?;
            if once.before::<Uuid>(tx, now).await?.is_some() {
                return Ok(());
            }
            let invite = invites::find(tx, organization.id, invite.id)
                .await?
                .filter(|invite| invite.is_live(now))
                .ok_or_else(Error::not_found)?;
            let ending = Ending { at: now, by: None, reason: EndReason::Declined };
            invites::end(tx, organization.id, invite.id, &ending).await?;
            advance(tx, &mut organization).await?;
            record(tx, Action::InviteDeclined, &invite, &call.actor(), String::new(), now).await?;
            once.remember(tx, &Uuid::from(invite.id), now).await
        })
        .await
}

/// The invitation, if it is the caller's. Who holds its token is told why it is
/// not; an id tells nobody anything.
async fn find(db: &impl Connection, call: &Call, by: &DeclineBy) -> Result<(Invite, Organization)> {
    let own = call.caller.account.profile.verified_email();
    if let Some((invite, organization)) = invites::find_by_token(db, &by.token.hash()).await? {
        if invite.kind != InviteKind::Email {
            return Err(Error::not_found());
        }
        if invite.email.as_ref() != own {
            return Err(Error::permission_denied("this invitation is for another address")
                .with_reason(reason::EMAIL_MISMATCH));
        }
        return Ok((invite, organization));
    }
    invites::find_email_invitation(db, by.id)
        .await?
        .filter(|(invite, _)| own.is_some() && invite.email.as_ref() == own)
        .ok_or_else(Error::not_found)
}
