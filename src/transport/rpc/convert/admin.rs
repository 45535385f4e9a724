//! Messages of the operator's API.

use super::{Fields, to_timestamp};
use crate::domain::{Organization, OrganizationId, Tier, fold};
use crate::error::Result;
use crate::operations::admin::{
    ListOrganizations, OrganizationFilter, OrganizationList, OrganizationStats,
};
use crate::proto::gitpod::v1::{OrganizationTier, UserStatus};
use crate::proto::guestlist::v1 as pb;

pub fn set_seat_limit(message: &pb::SetSeatLimitRequest) -> Result<(OrganizationId, i64)> {
    let mut fields = Fields::default();
    let id = fields.parse("organization_id", &message.organization_id);
    if message.seat_limit < 0 {
        fields.wrong("seat_limit", "must not be negative");
    }
    fields.finish(|| Some((id?, message.seat_limit)))
}

pub fn set_tier(message: &pb::SetTierRequest) -> Result<(OrganizationId, Tier)> {
    let mut fields = Fields::default();
    let id = fields.parse("organization_id", &message.organization_id);
    let tier = tier(message.tier);
    if tier.is_none() {
        fields.wrong("tier", TIER);
    }
    fields.finish(|| Some((id?, tier?)))
}

const TIER: &str = "must be a tier that is defined";

fn tier(number: i32) -> Option<Tier> {
    Some(match OrganizationTier::try_from(number).ok()? {
        OrganizationTier::Free => Tier::Free,
        OrganizationTier::Enterprise => Tier::Enterprise,
        OrganizationTier::Core => Tier::Core,
        OrganizationTier::FreeOna => Tier::FreeOna,
        OrganizationTier::Unspecified => return None,
    })
}

/// The maximum number of entries in each list of a filter.
const MAX_ENTRIES: usize = 25;

pub fn list_organizations(message: pb::ListOrganizationsRequest) -> Result<ListOrganizations> {
    let mut fields = Fields::default();
    let from = message.filter.unwrap_or_default();
    fields.text("filter.search", &from.search, 256);
    let id = fields.parse_optional("filter.organization_id", &from.organization_id);
    let tiers = fields.enums("filter.tiers", &from.tiers, MAX_ENTRIES, TIER, tier);
    let creator = fields.parse_optional("filter.creator_id", &from.creator_id);
    let start = from.start_time.and_then(|at| fields.timestamp("filter.start_time", at));
    let end = from.end_time.and_then(|at| fields.timestamp("filter.end_time", at));
    let page = fields.page(message.page);
    fields.finish(|| {
        let (size, token) = page?;
        let search = fold(&from.search);
        let filter = OrganizationFilter { search, id, tiers, creator, start, end };
        Some(ListOrganizations { filter, size, token })
    })
}

impl From<Organization> for pb::ListedOrganization {
    fn from(organization: Organization) -> Self {
        Self {
            creator_id: organization.creator.to_string(),
            member_count: organization.member_count,
            seat_limit: organization.seat_limit,
            organization: Some(organization.into()),
        }
    }
}

impl From<OrganizationList> for pb::ListOrganizationsResponse {
    fn from(list: OrganizationList) -> Self {
        Self {
            organizations: list.organizations.into_iter().map(Into::into).collect(),
            next_page_token: list.next_token,
        }
    }
}

impl From<OrganizationStats> for pb::GetOrganizationStatsResponse {
    fn from(stats: OrganizationStats) -> Self {
        let members = stats.members.into_iter().map(|(status, role, count)| pb::MemberCount {
            status: UserStatus::from(status).into(),
            role: role.to_string(),
            count,
        });
        Self {
            members: members.collect(),
            organization: Some(stats.organization.into()),
            pending_invitations: i64::try_from(stats.pending_invitations).unwrap_or(i64::MAX),
            last_change_time: Some(to_timestamp(stats.last_change_at)),
        }
    }
}
