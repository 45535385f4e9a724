//! `guestlist.v1.AdminService/ListOrganizations`

use uuid::Uuid;

use super::require_operator;
use crate::domain::{AccountId, Organization, OrganizationId, PageSize, Tier, Timestamp, fold};
use crate::error::Result;
use crate::operations::cursor::Pagination;
use crate::operations::encoding::Encoding;
use crate::operations::members::as_counted;
use crate::operations::{Context, RequestContext};
use crate::storage::organization_lists;

/// The most organizations that one request reads: a filter that matches few of them must not read
/// all of a large store.
const MAX_ROWS: u64 = 10_000;

/// The number of organizations that one statement reads if there is a filter.
const BATCH: u64 = 500;

/// Which organizations to list: those that match all given fields.
#[derive(Debug, Clone, Default)]
pub struct OrganizationFilter {
    /// A part of the name, in lower case.
    pub search: String,
    pub id: Option<OrganizationId>,
    /// One of these; empty means all.
    pub tiers: Vec<Tier>,
    pub creator: Option<AccountId>,
    /// Created at this moment or later.
    pub start: Option<Timestamp>,
    /// Created before this moment.
    pub end: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub struct ListOrganizations {
    pub filter: OrganizationFilter,
    pub size: PageSize,
    /// The token of the previous page; empty for the first page.
    pub token: String,
}

/// One page of organizations, newest first.
#[derive(Debug, Clone)]
pub struct OrganizationList {
    pub organizations: Vec<Organization>,
    /// Empty on the last page.
    pub next_token: String,
}

impl OrganizationFilter {
    /// Whether an organization matches the part of the filter that is not in the statement. Names
    /// are compared here, so that both databases find the same organizations.
    fn matches(&self, organization: &Organization) -> bool {
        let at = organization.created_at;
        (self.tiers.is_empty() || self.tiers.contains(&organization.tier))
            && self.start.is_none_or(|start| start <= at)
            && self.end.is_none_or(|end| at < end)
            && (self.search.is_empty() || fold(organization.name.as_str()).contains(&self.search))
    }

    /// Whether [`OrganizationFilter::matches`] holds for all organizations.
    fn matches_all(&self) -> bool {
        self.search.is_empty()
            && self.tiers.is_empty()
            && self.start.is_none()
            && self.end.is_none()
    }
}

/// Lists organizations; for a key that is bound to one organization, only that one. Reads at most
/// 10,000 organizations, so a page may be short. Needs a key of scope `operator`.
pub async fn list_organizations(
    cx: &Context,
    call: &RequestContext,
    input: ListOrganizations,
) -> Result<OrganizationList> {
    require_operator(call)?;
    let ListOrganizations { filter, size, token } = input;
    let caller = &call.caller;
    let pagination = Pagination::new(encode_list(&filter), caller.account.id, "page.page_token");
    let cursor: Option<Uuid> = pagination.cursor(&cx.keyring, &token)?;
    let only = match (caller.bound_to(), filter.id) {
        (Some(bound), Some(id)) if bound != id => {
            return Ok(OrganizationList { organizations: Vec::new(), next_token: String::new() });
        }
        (bound, id) => bound.or(id),
    };

    let _permit = cx.limits.list(None).await?;
    let wanted = size.get() + 1;
    let batch = if filter.matches_all() { wanted } else { BATCH };
    let mut before = cursor.map(OrganizationId::from);
    let (mut found, mut seen) = (Vec::new(), 0);
    loop {
        let db = cx.store.read();
        let rows = organization_lists::page(db, only, filter.creator, before, batch).await?;
        let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        before = rows.last().map(|last| last.id);
        seen += count;
        found.extend(rows.into_iter().filter(|one| filter.matches(one)));
        let is_full = u64::try_from(found.len()).unwrap_or(u64::MAX) >= wanted;
        if is_full || count < batch || seen >= MAX_ROWS {
            let ends = is_full || count < batch;
            let mut next_token =
                pagination.cut(&cx.keyring, &mut found, size, |last| Uuid::from(last.id))?;
            if let (false, Some(last)) = (ends, before) {
                next_token = pagination.token(&cx.keyring, &Uuid::from(last))?;
            }
            let mut organizations = Vec::with_capacity(found.len());
            for organization in found {
                organizations.push(as_counted(cx.store.read(), organization, cx.now()).await?);
            }
            return Ok(OrganizationList { organizations, next_token });
        }
    }
}

fn encode_list(filter: &OrganizationFilter) -> Encoding {
    let OrganizationFilter { search, id, tiers, creator, start, end } = filter;
    Encoding::new("ListOrganizations")
        .text(search)
        .option(*id, Encoding::id)
        .list(tiers, |encoding, tier| encoding.text(tier.as_str()))
        .option(*creator, Encoding::id)
        .option(*start, Encoding::time)
        .option(*end, Encoding::time)
}
