//! Messages of the operator's API.

use super::Fields;
use crate::domain::{OrganizationId, Tier};
use crate::error::Result;
use crate::proto::gitpod::v1::OrganizationTier;
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
    let tier = match OrganizationTier::try_from(message.tier) {
        Ok(OrganizationTier::Free) => Some(Tier::Free),
        Ok(OrganizationTier::Enterprise) => Some(Tier::Enterprise),
        Ok(OrganizationTier::Core) => Some(Tier::Core),
        Ok(OrganizationTier::FreeOna) => Some(Tier::FreeOna),
        _ => {
            fields.wrong("tier", "must be a tier that is defined");
            None
        }
    };
    fields.finish(|| Some((id?, tier?)))
}
