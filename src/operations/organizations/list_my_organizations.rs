//! `guestlist.v1.OrganizationService/ListMyOrganizations`

use uuid::Uuid;

use crate::domain::{Attributes, Member, Organization, PageSize};
use crate::error::Result;
use crate::operations::attributes::encode;
use crate::operations::cursor::Pagination;
use crate::operations::encoding::Encoding;
use crate::operations::{Context, RequestContext};
use crate::storage::member_lists::{self, MemberCursor, OrganizationFilter};

#[derive(Debug, Clone)]
pub struct MyOrganizations {
    /// The caller's memberships with their organizations, oldest first.
    pub entries: Vec<(Member, Organization)>,
    /// Empty on the last page.
    pub next_token: String,
}

/// Lists the organizations of which the caller is an active member and which have all metadata
/// pairs and the external id of `with`. For a key that is bound to one organization, lists only
/// that one. `token_field` is the request's field with `token`, for errors.
pub async fn list_my_organizations(
    cx: &Context,
    call: &RequestContext,
    with: Attributes,
    size: PageSize,
    token: &str,
    token_field: &'static str,
) -> Result<MyOrganizations> {
    let caller = &call.caller;
    let bound = caller.bound_to();
    let list_key = Encoding::new("ListMyOrganizations").option(bound, Encoding::id);
    let list_key = encode(list_key, &with);
    let pagination = Pagination::new(list_key, caller.account.id, token_field);
    let after: Option<MemberCursor> = pagination.cursor(&cx.keyring, token)?;

    let Attributes { metadata, external_id } = with;
    let filter = OrganizationFilter { only: bound, metadata, external_id };
    let mut entries = member_lists::organizations_of(
        cx.store.read(),
        caller.account.id,
        &filter,
        after.as_ref(),
        size.get() + 1,
        cx.now(),
    )
    .await?;
    let next_token =
        pagination.cut(&cx.keyring, &mut entries, size, |(member, _)| MemberCursor {
            name: String::new(),
            joined_at: member.joined_at.as_micros(),
            id: Uuid::from(member.id),
        })?;
    Ok(MyOrganizations { entries, next_token })
}
