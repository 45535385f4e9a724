//! `guestlist.v1.DomainService/ListDomains`

use crate::domain::{OrganizationDomain, OrganizationId, Permission};
use crate::error::Result;
use crate::operations::access::Access;
use crate::operations::{Context, RequestContext};
use crate::storage::domains;

/// Lists the domains of an organization, oldest first. Only admins may do this.
pub async fn list_domains(
    cx: &Context,
    call: &RequestContext,
    organization: OrganizationId,
) -> Result<Vec<OrganizationDomain>> {
    let db = cx.store.read();
    let manage = Permission::ManageOrganization;
    Access::to_read(db, &call.caller, organization, manage, cx.now()).await?;
    domains::all_of(db, organization).await
}
