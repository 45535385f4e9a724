//! `guestlist.v1.AdminService/SetTier`

use super::change_organization;
use crate::domain::{OrganizationId, Tier};
use crate::error::Result;
use crate::operations::{Context, RequestContext};

/// Sets an organization's tier. Needs a key of scope `operator`.
pub async fn set_tier(
    cx: &Context,
    call: &RequestContext,
    id: OrganizationId,
    tier: Tier,
) -> Result<()> {
    change_organization(cx, call, id, move |organization| {
        let before = std::mem::replace(&mut organization.tier, tier);
        (before != tier).then(|| ("tier", format!("tier: {} → {}", before.as_str(), tier.as_str())))
    })
    .await
}
