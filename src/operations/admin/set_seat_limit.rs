//! `guestlist.v1.AdminService/SetSeatLimit`

use super::change_organization;
use crate::domain::OrganizationId;
use crate::error::Result;
use crate::operations::{Context, RequestContext};

/// Sets the maximal number of active and suspended members of an organization; 0 means no limit. A
/// lower limit removes no member. Needs a key of scope `operator`.
pub async fn set_seat_limit(
    cx: &Context,
    call: &RequestContext,
    id: OrganizationId,
    seats: i64,
) -> Result<()> {
    change_organization(cx, call, id, move |organization| {
        let before = std::mem::replace(&mut organization.seat_limit, seats);
        (before != seats).then(|| ("seat_limit", format!("seat limit: {before} → {seats}")))
    })
    .await
}
