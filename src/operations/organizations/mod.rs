//! Organizations.

mod create_organization;
mod delete_organization;
mod get_organization;
mod list_my_organizations;
mod update_organization;
mod update_organization_metadata;

pub use create_organization::{CreateOrganization, Created, create_organization};
pub use delete_organization::{delete_organization, remove_deleted};
pub use get_organization::get_organization;
pub use list_my_organizations::{MyOrganizations, list_my_organizations};
pub use update_organization::{UpdateOrganization, update_organization};
pub use update_organization_metadata::update_organization_metadata;

use crate::domain::EmailDomain;
use crate::error::{Error, Result, reason};

/// Rejects the domains of public mail providers, because any person can get an address there.
pub(in crate::operations) fn reject_public_domains(domains: &[EmailDomain]) -> Result<()> {
    match domains.iter().find(|domain| domain.is_public()) {
        Some(domain) => Err(Error::precondition(
            reason::PUBLIC_DOMAIN,
            format!("{domain} belongs to a public mail provider, so anybody could join"),
        )),
        None => Ok(()),
    }
}
