//! `guestlist.v1.AdminService/GetOrganizationStats`

use super::require_operator;
use crate::domain::{
    InviteKind, InviteState, MemberStatus, Organization, OrganizationId, Role, Timestamp,
};
use crate::error::{Error, Result};
use crate::operations::{Context, RequestContext};
use crate::storage::audit_events::{self, EventFilter};
use crate::storage::invite_lists::{self, InviteFilter};
use crate::storage::{member_lists, organizations};

/// What an organization has.
#[derive(Debug, Clone)]
pub struct OrganizationStats {
    pub organization: Organization,
    /// The number of members of each status and role that occur.
    pub members: Vec<(MemberStatus, Role, i64)>,
    /// Email invitations that can be accepted.
    pub pending_invitations: u64,
    /// The time of the newest audit event.
    pub last_change_at: Timestamp,
}

/// Counts what an organization has. Needs a key of scope `operator`.
pub async fn get_organization_stats(
    cx: &Context,
    call: &RequestContext,
    id: OrganizationId,
) -> Result<OrganizationStats> {
    require_operator(call)?;
    if !call.caller.reaches(id) {
        return Err(Error::not_found());
    }
    let (db, now) = (cx.store.read(), cx.now());
    let organization = organizations::find(db, id).await?.ok_or_else(Error::not_found)?;
    let _permit = cx.limits.list(id).await?;
    let members = member_lists::counts(db, id).await?;
    let pending = InviteFilter {
        kinds: vec![InviteKind::Email],
        states: vec![InviteState::Live],
        ..InviteFilter::default()
    };
    let pending_invitations = invite_lists::count(db, id, &pending, now).await?;
    let newest = audit_events::page(db, Some(id), &EventFilter::default(), None, 1).await?;
    let last_change_at = newest.first().map_or(organization.updated_at, |event| event.at);
    Ok(OrganizationStats { organization, members, pending_invitations, last_change_at })
}
