//! `guestlist.v1.MemberService/ListMemberships`

use crate::domain::{
    AccountId, Attributes, MemberId, Membership, OrganizationId, PageSize, Permission,
};
use crate::error::Result;
use crate::operations::access::Access;
use crate::operations::cursor::Pagination;
use crate::operations::encoding::Encoding;
use crate::operations::{Context, RequestContext, attributes};
use crate::storage::member_lists::{self, MemberCursor, MemberFilter, MemberPage, MemberSort};

#[derive(Debug, Clone)]
pub struct ListMemberships {
    pub organization: OrganizationId,
    /// Only members with all these metadata pairs, and with this external id if there is one.
    pub with: Attributes,
    /// Only these members; empty means all.
    pub ids: Vec<MemberId>,
    /// Only members with these accounts; empty means all.
    pub accounts: Vec<AccountId>,
    pub size: PageSize,
    /// The token of the previous page; empty for the first page.
    pub token: String,
}

/// One page of memberships.
#[derive(Debug, Clone)]
pub struct MembershipList {
    pub memberships: Vec<Membership>,
    /// Empty on the last page.
    pub next_token: String,
}

/// Lists active and suspended members with their metadata, oldest first. Every active member except
/// guests may do this.
pub async fn list_memberships(
    cx: &Context,
    call: &RequestContext,
    input: ListMemberships,
) -> Result<MembershipList> {
    let encoding = encode_list(&input);
    let ListMemberships { organization, with, ids, accounts, size, token } = input;
    let (db, now, list) = (cx.store.read(), cx.now(), Permission::ListMembers);
    let access = Access::to_read(db, &call.caller, organization, list, now).await?;
    let Attributes { metadata, external_id } = with;
    let filter = MemberFilter { metadata, external_id, ids, accounts, ..MemberFilter::default() };
    let pagination = Pagination::new(encoding, call.caller.account.id, "page.page_token");
    let after: Option<MemberCursor> = pagination.cursor(&cx.keyring, &token)?;
    let _permit = cx.limits.list(organization).await?;
    let page = MemberPage {
        filter: &filter,
        except: None,
        sort: MemberSort::Joined,
        descending: false,
        after: after.as_ref(),
        limit: size.get() + 1,
        due: access.due(now),
    };
    let mut rows = member_lists::page(db, organization, page).await?;
    let next_token = pagination.cut(&cx.keyring, &mut rows, size, |(_, place)| place.clone())?;
    let memberships = rows.iter().map(|(member, _)| Membership::from(&member.member)).collect();
    Ok(MembershipList { memberships, next_token })
}

fn encode_list(input: &ListMemberships) -> Encoding {
    let encoding = Encoding::new("ListMemberships").id(input.organization);
    let encoding = attributes::encode(encoding, &input.with);
    // Without these fields the encoding is the one from before they existed, so that older page
    // tokens stay valid.
    if input.ids.is_empty() && input.accounts.is_empty() {
        return encoding;
    }
    encoding
        .text("ids")
        .list(&input.ids, |encoding, id| encoding.id(*id))
        .list(&input.accounts, |encoding, id| encoding.id(*id))
}
