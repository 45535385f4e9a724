//! `ListMembers`

use serde::{Deserialize, Serialize};

use super::expiry::as_counted;
use crate::domain::{MemberProfile, OrganizationId, PageSize, Permission, Timestamp};
use crate::error::Result;
use crate::operations::access::Access;
use crate::operations::cursor::Pagination;
use crate::operations::encoding::Encoding;
use crate::operations::{Context, RequestContext};
use crate::storage::Db;
use crate::storage::member_lists::{self, MemberCursor, MemberFilter, MemberPage, MemberSort};

#[derive(Debug, Clone)]
pub struct ListMembers {
    pub organization: OrganizationId,
    pub filter: MemberFilter,
    /// `None`: the caller first, then the others by name.
    pub sort: Option<(MemberSort, Descending)>,
    pub size: PageSize,
    /// The token of the previous page; empty for the first page.
    pub token: String,
    /// Also return the number of matching members.
    pub count: bool,
}

pub type Descending = bool;

/// One page of members.
#[derive(Debug, Clone)]
pub struct MemberList {
    pub members: Vec<MemberProfile>,
    /// Empty on the last page.
    pub next_token: String,
    /// The number of matching members; only on the first page, and only if requested.
    pub count: Option<u64>,
}

/// The start of a page. Without `after` the page starts after the caller's own entry, which
/// comes first in the default order.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    after: Option<MemberCursor>,
}

/// Lists members. Every active member except guests may do this.
pub async fn list_members(
    cx: &Context,
    call: &RequestContext,
    input: ListMembers,
) -> Result<MemberList> {
    let (db, now) = (cx.store.read(), cx.now());
    let list = Permission::ListMembers;
    let access = Access::to_read(db, &call.caller, input.organization, list, now).await?;
    let pagination =
        Pagination::new(encode_list(&input), call.caller.account.id, "pagination.token");
    let position: Option<Position> = pagination.cursor(&cx.keyring, &input.token)?;
    let first_page = position.is_none();
    let _permit = cx.limits.list(input.organization).await?;

    let mut found = Vec::new();
    if input.sort.is_none() && first_page {
        let own = own_entry(db, &access, &input.filter).await?;
        found.extend(own.map(|own| (own, None)));
    }
    let (sort, descending) = input.sort.unwrap_or((MemberSort::Name, false));
    let page = MemberPage {
        filter: &input.filter,
        except: input.sort.is_none().then_some(access.member.id),
        sort,
        descending,
        after: position.as_ref().and_then(|position| position.after.as_ref()),
        limit: input.size.get() + 1,
        due: access.due(now),
    };
    let others = member_lists::page(db, input.organization, page).await?;
    found.extend(others.into_iter().map(|(member, cursor)| (member, Some(cursor))));

    let next_token = pagination
        .cut(&cx.keyring, &mut found, input.size, |(_, after)| Position { after: after.clone() })?;
    let count = if input.count && first_page {
        Some(count(db, &access, &input.filter, now).await?)
    } else {
        None
    };
    let members = found.into_iter().map(|(member, _)| member).collect();
    Ok(MemberList { members, next_token, count })
}

/// The caller's own entry, if it matches the filter.
async fn own_entry(
    db: &Db,
    access: &Access,
    filter: &MemberFilter,
) -> Result<Option<MemberProfile>> {
    let own = access.member.id;
    if !filter.ids.is_empty() && !filter.ids.contains(&own) {
        return Ok(None);
    }
    let filter = MemberFilter { ids: vec![own], ..filter.clone() };
    let page = MemberPage {
        filter: &filter,
        except: None,
        sort: MemberSort::Name,
        descending: false,
        after: None,
        limit: 1,
        due: None,
    };
    let found = member_lists::page(db, access.organization.id, page).await?;
    Ok(found.into_iter().next().map(|(member, _)| member))
}

/// Without a filter the count is a column of the organization, so no rows are counted.
async fn count(db: &Db, access: &Access, filter: &MemberFilter, now: Timestamp) -> Result<u64> {
    if filter.is_default() {
        let counted = as_counted(db, access.organization.clone(), now).await?;
        return Ok(u64::try_from(counted.member_count).unwrap_or(0));
    }
    member_lists::count(db, access.organization.id, filter, access.due(now)).await
}

fn encode_list(input: &ListMembers) -> Encoding {
    // Only ListMemberships filters by metadata and external id.
    let MemberFilter { search, statuses, admins, ids, email, login_provider, .. } = &input.filter;
    Encoding::new("ListMembers")
        .id(input.organization)
        .text(search)
        .list(statuses, |encoding, status| encoding.text(status.as_str()))
        .option(*admins, Encoding::flag)
        .list(ids, |encoding, id| encoding.id(*id))
        .option(email.as_deref(), Encoding::text)
        .option(*login_provider, |encoding, kind| encoding.text(kind.as_str()))
        .option(input.sort, |encoding, (sort, descending)| {
            let by_date = match sort {
                MemberSort::Name => false,
                MemberSort::Joined => true,
            };
            encoding.flag(by_date).flag(descending)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{LoginProviderKind, MemberStatus};

    #[test]
    fn p47_the_encoding_bound_to_page_tokens_never_changes() {
        let id = "0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b";
        let input = |filter, sort| ListMembers {
            organization: id.parse().unwrap(),
            filter,
            sort,
            size: PageSize::of(1),
            token: String::new(),
            count: false,
        };
        let of = |input| hex::encode(encode_list(&input).as_bytes());
        let begin = "01000000000000000b4c6973744d656d626572730197a2b45c6d7e8f9a0b1c2d3e4f5a6b";
        assert_eq!(
            of(input(MemberFilter::default(), None)),
            format!("{begin}00000000000000000000000000000000000000000000000000000000")
        );
        let filter = MemberFilter {
            search: "x".to_owned(),
            statuses: vec![MemberStatus::Left],
            admins: Some(true),
            ids: vec![id.parse().unwrap()],
            email: Some("y".to_owned()),
            login_provider: Some(LoginProviderKind::Sso),
            ..MemberFilter::default()
        };
        assert_eq!(
            of(input(filter, Some((MemberSort::Joined, true)))),
            [
                begin,
                "000000000000000178",
                "000000000000000100000000000000046c656674",
                "0101",
                "00000000000000010197a2b45c6d7e8f9a0b1c2d3e4f5a6b",
                "01000000000000000179",
                "01000000000000000373736f",
                "010101",
            ]
            .concat()
        );
    }
}
