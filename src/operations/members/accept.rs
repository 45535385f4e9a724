//! `guestlist.v1.InviteService/Accept`

use super::join_organization::{JoinBy, join_organization};
use crate::domain::Membership;
use crate::error::Result;
use crate::operations::invites::TokenOrId;
use crate::operations::{Context, RequestContext};

/// Joins with an email invitation, under all rules of a join. The caller's verified address
/// must be the invited one.
pub async fn accept(
    cx: &Context,
    call: &RequestContext,
    invitation: TokenOrId,
) -> Result<Membership> {
    let joined = join_organization(cx, call, JoinBy::Invitation(invitation)).await?;
    Ok(Membership::from(&joined.member))
}
