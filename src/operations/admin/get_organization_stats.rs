//! `guestlist.v1.AdminService/GetOrganizationStats`

use super::require_operator;
use crate::domain::{
    InviteKind, InviteState, MemberStatus, Organization, OrganizationId, Role, Timestamp,
};
use crate::error::{Error, Result};
use crate::operations::members::as_counted;
use crate::operations::{Context, RequestContext};
use crate::storage::audit_events::{self, EventFilter};
use crate::storage::invite_lists::{self, InviteFilter};
use crate::storage::{member_lists, organizations};

/// The statistics of an organization.
#[derive(Debug, Clone)]
pub struct OrganizationStats {
    pub organization: Organization,
    /// The number of members of each status and role that occur.
    pub members: Counts,
    /// Email invitations that can be accepted.
    pub pending_invitations: u64,
    /// The time of the newest audit event.
    pub last_change_at: Timestamp,
}

/// The number of members of each status and role.
type Counts = Vec<(MemberStatus, Role, i64)>;

/// Returns the statistics of an organization. Needs a key of scope `operator`.
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
    let mut members = member_lists::counts(db, id).await?;
    let has_due = organization.has_due_members(now);
    if has_due {
        let due = member_lists::counts_of_due(db, id, now).await?;
        members = as_left(members, &due);
    }
    let organization = as_counted(db, organization, now).await?;
    let pending = InviteFilter {
        kinds: vec![InviteKind::Email],
        states: vec![InviteState::Live],
        ..InviteFilter::default()
    };
    let pending_invitations = invite_lists::count(db, id, &pending, (now, has_due)).await?;
    let newest = audit_events::page(db, Some(id), &EventFilter::default(), None, 1).await?;
    let last_change_at = newest.first().map_or(organization.updated_at, |event| event.at);
    Ok(OrganizationStats { organization, members, pending_invitations, last_change_at })
}

/// Counts the members that are due as left. The two counts may come from different moments, so a
/// count below 0 becomes 0.
fn as_left(members: Counts, due: &Counts) -> Counts {
    let mut counts: Counts = members;
    let mut add = |status: MemberStatus, role: Role, number: i64| {
        let known = counts.iter_mut().find(|(s, r, _)| (*s, *r) == (status, role));
        match known {
            Some((.., count)) => *count = (*count + number).max(0),
            None => counts.push((status, role, number)),
        }
    };
    for (status, role, number) in due {
        add(*status, *role, -number);
        add(MemberStatus::Left, *role, *number);
    }
    counts.retain(|(.., number)| *number > 0);
    counts
}
