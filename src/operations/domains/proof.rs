//! The mode of a proved domain.

use crate::domain::{DomainChecks, DomainMode, EmailDomain, OrganizationId, Timestamp};
use crate::error::Result;
use crate::storage::{Connection, domains};

/// The mode of a domain that the organization has proved; `None` if it has not.
pub(in crate::operations) async fn proved_mode(
    db: &impl Connection,
    organization: OrganizationId,
    name: &EmailDomain,
    checks: DomainChecks,
    now: Timestamp,
) -> Result<Option<DomainMode>> {
    let found = domains::find_by_name(db, organization, name).await?;
    Ok(found.filter(|domain| domain.is_proved(now, checks.grace)).map(|domain| domain.mode))
}
