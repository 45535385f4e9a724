//! `guestlist.v1.InviteService/ListMyInvitations`

use uuid::Uuid;

use crate::domain::{PageSize, ReceivedInvitation};
use crate::error::Result;
use crate::operations::cursor::Pagination;
use crate::operations::encoding::Encoding;
use crate::operations::{Context, RequestContext};
use crate::storage::invite_lists;

/// One page of invitations, newest first.
#[derive(Debug, Clone)]
pub struct MyInvitations {
    pub invitations: Vec<ReceivedInvitation>,
    /// Empty on the last page.
    pub next_token: String,
}

/// Lists the pending email invitations of the caller's verified address, without those that are
/// older than the caller's removal from the organization. For a key that is bound to one
/// organization, lists only the invitation to that organization. `token_field` is the request's
/// field with `token`, for errors.
pub async fn list_my_invitations(
    cx: &Context,
    call: &RequestContext,
    size: PageSize,
    token: &str,
    token_field: &'static str,
) -> Result<MyInvitations> {
    let caller = &call.caller;
    let bound = caller.bound_to();
    let list_key = Encoding::new("ListMyInvitations").option(bound, Encoding::id);
    let pagination = Pagination::new(list_key, caller.account.id, token_field);
    let before: Option<Uuid> = pagination.cursor(&cx.keyring, token)?;
    let Some(own) = caller.account.profile.verified_email() else {
        return Ok(MyInvitations { invitations: Vec::new(), next_token: String::new() });
    };

    let limit = size.get() + 1;
    let (db, before) = (cx.store.read(), before.map(Into::into));
    let mut invitations =
        invite_lists::received(db, (caller.account.id, own), bound, before, limit, cx.now())
            .await?;
    let next_token =
        pagination.cut(&cx.keyring, &mut invitations, size, |last| Uuid::from(last.invite.id))?;
    Ok(MyInvitations { invitations, next_token })
}
