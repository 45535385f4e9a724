//! `guestlist.v1.JoinRequestService/ListJoinableOrganizations`

use crate::domain::{DomainMode, JoinRequest, Organization};
use crate::error::Result;
use crate::operations::members::as_counted;
use crate::operations::{Context, RequestContext};
use crate::storage::{domains, join_requests, members, organizations};

/// An organization that the caller may join or request to join.
#[derive(Debug, Clone)]
pub struct Joinable {
    pub organization: Organization,
    pub mode: DomainMode,
    /// The caller's pending request.
    pub pending: Option<JoinRequest>,
}

/// Returns the organization that has proved the domain of the caller's verified address, if
/// accounts of the domain may join or request to join. Returns none if the caller is a member, an
/// admin has removed the caller, or the organization has no active admin. A domain is verified for
/// one organization only, so the result has at most one.
pub async fn list_joinable_organizations(
    cx: &Context,
    call: &RequestContext,
) -> Result<Vec<Joinable>> {
    let (db, account) = (cx.store.read(), &call.caller.account);
    let email = account.profile.verified_email();
    let Some(own) = email.and_then(|email| email.domain()) else { return Ok(Vec::new()) };
    let Some(domain) = domains::verified(db, &own).await? else { return Ok(Vec::new()) };
    let id = domain.organization;
    let now = cx.now();
    let current = members::current(db, id, account.id).await?;
    let is_open = domain.mode != DomainMode::InviteOnly
        && domain.is_proved(now, cx.rules.domain_checks.grace)
        && call.caller.reaches(id)
        && current.is_none_or(|member| !member.is_current(now))
        && members::last_removal(db, id, account.id).await?.is_none()
        && members::has_active_admin(db, id, now).await?;
    if !is_open {
        return Ok(Vec::new());
    }
    let Some(organization) = organizations::find(db, id).await? else { return Ok(Vec::new()) };
    let organization = as_counted(db, organization, now).await?;
    let pending = join_requests::pending(db, id, account.id).await?;
    Ok(vec![Joinable { organization, mode: domain.mode, pending }])
}
