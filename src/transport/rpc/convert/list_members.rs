//! The messages of `ListMembers`.

use super::{Fields, MAX_TOKEN};
use crate::domain::{LoginProviderKind, MemberId, MemberStatus, PageSize, fold};
use crate::error::Result;
use crate::operations::members::{ListMembers, MemberFilter, MemberList, MemberSort};
use crate::proto::gitpod::v1 as pb;
use crate::proto::gitpod::v1::list_members_request as request;

pub fn list_members(message: pb::ListMembersRequest) -> Result<ListMembers> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let pagination = message.pagination.unwrap_or_default();
    fields.text("pagination.token", &pagination.token, MAX_TOKEN);
    let size = fields.keep("pagination.page_size", PageSize::from_request(pagination.page_size));
    let filter = filter(&mut fields, message.filter.unwrap_or_default());
    let sort = sort(&mut fields, message.sort.unwrap_or_default());
    fields.finish(|| {
        Some(ListMembers {
            organization: organization?,
            filter,
            sort,
            size: size?,
            token: pagination.token,
            count: message.count.is_some_and(|count| count.include),
        })
    })
}

/// The maximum number of entries in each list of a filter.
const MAX_ENTRIES: usize = 25;

fn filter(fields: &mut Fields, from: request::Filter) -> MemberFilter {
    fields.text("filter.search", &from.search, 256);
    let email = fields.address_filter("filter.email", &from.email);
    // Guestlist has no groups: the field is validated and then ignored.
    let _: Vec<MemberId> =
        fields.parse_all("filter.exclude_group_ids", &from.exclude_group_ids, MAX_ENTRIES);
    MemberFilter {
        search: fold(&from.search),
        statuses: statuses(fields, &from.statuses),
        admins: admins(fields, &from.roles),
        ids: fields.parse_all("filter.user_ids", &from.user_ids, MAX_ENTRIES),
        email,
        login_provider: login_provider(fields, from.login_provider),
        ..MemberFilter::default()
    }
}

fn statuses(fields: &mut Fields, numbers: &[i32]) -> Vec<MemberStatus> {
    const EXPECTED: &str = "must be active, suspended or left";
    fields.enums("filter.statuses", numbers, MAX_ENTRIES, EXPECTED, |number| {
        Some(match pb::UserStatus::try_from(number).ok()? {
            pb::UserStatus::Active => MemberStatus::Active,
            pb::UserStatus::Suspended => MemberStatus::Suspended,
            pb::UserStatus::Left => MemberStatus::Left,
            pb::UserStatus::Unspecified => return None,
        })
    })
}

/// `true` to list admins only, `false` to list other members only, `None` for no filter: without
/// a role or with both roles.
fn admins(fields: &mut Fields, numbers: &[i32]) -> Option<bool> {
    const EXPECTED: &str = "must be admin or member";
    let admins = fields.enums("filter.roles", numbers, MAX_ENTRIES, EXPECTED, |number| {
        Some(match pb::OrganizationRole::try_from(number).ok()? {
            pb::OrganizationRole::Admin => true,
            pb::OrganizationRole::Member => false,
            pb::OrganizationRole::Unspecified => return None,
        })
    });
    match admins[..] {
        [admins] => Some(admins),
        _ => None,
    }
}

fn login_provider(fields: &mut Fields, number: i32) -> Option<LoginProviderKind> {
    match pb::LoginProviderKind::try_from(number) {
        Ok(pb::LoginProviderKind::Unspecified) => None,
        Ok(pb::LoginProviderKind::Sso) => Some(LoginProviderKind::Sso),
        Ok(pb::LoginProviderKind::Github) => Some(LoginProviderKind::Github),
        Ok(pb::LoginProviderKind::Google) => Some(LoginProviderKind::Google),
        Ok(pb::LoginProviderKind::Magiclink) => Some(LoginProviderKind::Magiclink),
        Err(_) => {
            fields.wrong("filter.login_provider", "must be a kind that is defined");
            None
        }
    }
}

fn sort(fields: &mut Fields, from: request::Sort) -> Option<(MemberSort, bool)> {
    let descending = match pb::SortOrder::try_from(from.order) {
        Ok(order) => order == pb::SortOrder::Desc,
        Err(_) => {
            fields.wrong("sort.order", "must be an order that is defined");
            false
        }
    };
    match pb::list_members_request::SortField::try_from(from.field) {
        Ok(request::SortField::Name) => Some((MemberSort::Name, descending)),
        Ok(request::SortField::DateJoined) => Some((MemberSort::Joined, descending)),
        Ok(request::SortField::Unspecified) => None,
        Err(_) => {
            fields.wrong("sort.field", "must be a field that is defined");
            None
        }
    }
}

impl From<MemberList> for pb::ListMembersResponse {
    fn from(list: MemberList) -> Self {
        let count = |value: u64| pb::CountResponse {
            value: i32::try_from(value).unwrap_or(i32::MAX),
            relation: pb::CountResponseRelation::Eq.into(),
        };
        Self {
            pagination: Some(pb::PaginationResponse { next_token: list.next_token }),
            members: list.members.into_iter().map(Into::into).collect(),
            count: list.count.map(count),
        }
    }
}
