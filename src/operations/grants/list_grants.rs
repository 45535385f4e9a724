//! `guestlist.v1.GrantService/ListGrants`

use uuid::Uuid;

use crate::domain::{Grant, MemberId, OrganizationId, PageSize, Permission};
use crate::error::{Error, Result};
use crate::operations::access::Access;
use crate::operations::cursor::Pagination;
use crate::operations::encoding::Encoding;
use crate::operations::{Context, RequestContext};
use crate::storage::grants;

#[derive(Debug, Clone)]
pub struct ListGrants {
    pub organization: OrganizationId,
    /// `None`: the grants of all members for an admin, the caller's own grants for other members.
    pub member: Option<MemberId>,
    pub size: PageSize,
    /// The token of the previous page; empty for the first page.
    pub token: String,
}

/// One page of grants, oldest first.
#[derive(Debug, Clone)]
pub struct GrantList {
    pub grants: Vec<Grant>,
    /// Empty on the last page.
    pub next_token: String,
}

/// Lists grants. An admin may list those of all members; other members may list their own.
pub async fn list_grants(
    cx: &Context,
    call: &RequestContext,
    input: ListGrants,
) -> Result<GrantList> {
    let (db, now) = (cx.store.read(), cx.now());
    let view = Permission::ViewOrganization;
    let access = Access::to_read(db, &call.caller, input.organization, view, now).await?;
    let own = access.member.id;
    let member = if access.member.role.allows(Permission::ManageMembers) {
        input.member
    } else if input.member.is_none_or(|member| member == own) {
        Some(own)
    } else {
        return Err(Error::permission_denied("only an admin may list another member's grants"));
    };
    let list = Encoding::new("ListGrants").id(input.organization).option(member, Encoding::id);
    let pagination = Pagination::new(list, call.caller.account.id, "page.page_token");
    let after: Option<Uuid> = pagination.cursor(&cx.keyring, &input.token)?;
    let _permit = cx.limits.list(input.organization).await?;
    let limit = input.size.get() + 1;
    let due = access.due(now);
    let mut grants =
        grants::page(db, input.organization, member, after.map(Into::into), limit, due).await?;
    let next_token =
        pagination.cut(&cx.keyring, &mut grants, input.size, |last| Uuid::from(last.id))?;
    Ok(GrantList { grants, next_token })
}
