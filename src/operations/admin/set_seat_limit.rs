//! `guestlist.v1.AdminService/SetSeatLimit`

use super::change_organization;
use crate::domain::OrganizationId;
use crate::error::Result;
use crate::operations::{Context, RequestContext};

/// Sets how many active and suspended members an organization may have; 0 means
/// any number. Whoever is there stays.
pub async fn set_seat_limit(
    cx: &Context,
    call: &RequestContext,
    id: OrganizationId,
    seats: i64,
) -> Result<()> {
    change_organization(cx, call, id, move |organization| {
        let before = std::mem::replace(&mut organization.seat_limit, seats);
        (before != seats).then(|| format!("seat limit: {before} → {seats}"))
    })
    .await
}
