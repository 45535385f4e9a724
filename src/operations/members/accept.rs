//! `guestlist.v1.InviteService/Accept`

use super::join_organization::{JoinBy, join_organization};
use crate::domain::{ContinueUrl, Membership};
use crate::error::Result;
use crate::operations::invites::{TokenOrId, shown_continue_url};
use crate::operations::{Context, RequestContext};
use crate::storage::invites;

#[derive(Debug, Clone)]
pub struct Accepted {
    pub membership: Membership,
    /// The page where the member continues.
    pub continue_url: Option<ContinueUrl>,
}

/// Joins with an email invitation, under all rules of a join. The caller's verified address
/// must be the invited one.
pub async fn accept(
    cx: &Context,
    call: &RequestContext,
    invitation: TokenOrId,
) -> Result<Accepted> {
    let member = join_organization(cx, call, JoinBy::Invitation(invitation)).await?.member;
    let continue_url = match member.invite {
        Some(id) if !cx.continue_origins.is_empty() => {
            let invite = invites::find(cx.store.read(), member.organization, id).await?;
            let url = invite.and_then(|invite| invite.continue_url);
            shown_continue_url(cx, url.as_ref())
        }
        _ => None,
    };
    Ok(Accepted { membership: Membership::from(&member), continue_url })
}
