//! Domains of an organization, which it proves by DNS.

mod add_domain;
mod check;
mod list_domains;
mod proof;
mod remove_domain;
mod set_domain_mode;
mod verify_domain;

pub use add_domain::{AddDomain, add_domain};
pub use check::{CheckRun, check_due};
pub use list_domains::list_domains;
pub(in crate::operations) use proof::proved_mode;
pub use remove_domain::remove_domain;
pub use set_domain_mode::set_domain_mode;
pub use verify_domain::verify_domain;

use crate::domain::{
    Action, Actor, DomainData, DomainId, EventData, Organization, OrganizationDomain,
    OrganizationId, Permission, Timestamp,
};
use crate::error::{Error, Result};
use crate::operations::RequestContext;
use crate::operations::access::Access;
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::{Tx, domains, organizations};

/// The most domains of an organization.
pub const MAX_DOMAINS: u64 = 100;

/// Identifies a domain of an organization.
#[derive(Debug, Clone, Copy)]
pub struct DomainRef {
    pub organization: OrganizationId,
    pub id: DomainId,
}

/// Locks an organization that the caller may manage, and reads one of its domains.
///
/// # Errors
/// Those of [`Access::to_change`]; also NOT_FOUND if the organization has no such domain.
async fn to_change(
    tx: &Tx,
    call: &RequestContext,
    of: DomainRef,
    now: Timestamp,
) -> Result<(Organization, OrganizationDomain)> {
    let manage = Permission::ManageOrganization;
    let access = Access::to_change(tx, &call.caller, of.organization, manage, now).await?;
    let found = domains::find(tx, of.organization, of.id).await?;
    Ok((access.organization, found.ok_or_else(Error::not_found)?))
}

/// Increments the version of a locked organization and appends the audit event of a change.
async fn record(
    tx: &Tx,
    mut organization: Organization,
    (action, data): (Action, DomainData),
    note: String,
    actor: &Actor,
    now: Timestamp,
) -> Result<()> {
    organization.version += 1;
    let version = organization.at_version();
    organizations::set_version(tx, version).await?;
    let data = EventData::Domain(data);
    let event = NewEvent { action, data, organization: Some(version), actor, note };
    audit_events::append(tx, event, now).await
}
