//! `guestlist.v1.JoinRequestService/ListJoinRequests`

use uuid::Uuid;

use crate::domain::{JoinRequest, JoinRequestState, OrganizationId, PageSize, Permission, Profile};
use crate::error::Result;
use crate::operations::access::Access;
use crate::operations::cursor::Pagination;
use crate::operations::encoding::Encoding;
use crate::operations::{Context, RequestContext};
use crate::storage::{join_requests, transfer};

#[derive(Debug, Clone)]
pub struct ListJoinRequests {
    pub organization: OrganizationId,
    pub state: JoinRequestState,
    pub size: PageSize,
    /// The token of the previous page; empty for the first page.
    pub token: String,
}

/// One page of requests, oldest first, with the profiles of their accounts.
#[derive(Debug, Clone)]
pub struct JoinRequestList {
    pub requests: Vec<(JoinRequest, Option<Profile>)>,
    /// Empty on the last page.
    pub next_token: String,
}

/// Lists the requests of an organization in one state. Only admins may do this.
pub async fn list_join_requests(
    cx: &Context,
    call: &RequestContext,
    input: ListJoinRequests,
) -> Result<JoinRequestList> {
    let (db, organization) = (cx.store.read(), input.organization);
    Access::to_read(db, &call.caller, organization, Permission::ManageMembers, cx.now()).await?;
    let list = Encoding::new("ListJoinRequests").id(organization).text(input.state.as_str());
    let pagination = Pagination::new(list, call.caller.account.id, "page.page_token");
    let after: Option<Uuid> = pagination.cursor(&cx.keyring, &input.token)?;
    let _permit = cx.limits.list(organization).await?;
    let (after, limit) = (after.map(Into::into), input.size.get() + 1);
    let mut rows = join_requests::page(db, organization, input.state, after, limit).await?;
    let next_token =
        pagination.cut(&cx.keyring, &mut rows, input.size, |last| Uuid::from(last.id))?;
    let ids: Vec<_> = rows.iter().map(|request| request.account).collect();
    let accounts = transfer::accounts_with_ids(db, &ids).await?;
    let profile = |request: &JoinRequest| {
        let found = accounts.iter().find(|account| account.id == request.account);
        found.map(|account| account.profile.clone())
    };
    let requests = rows.into_iter().map(|request| {
        let profile = profile(&request);
        (request, profile)
    });
    Ok(JoinRequestList { requests: requests.collect(), next_token })
}
