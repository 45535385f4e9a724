//! `GetOrganization`

use crate::domain::{Organization, OrganizationId, Permission};
use crate::error::Result;
use crate::operations::access::Access;
use crate::operations::{Context, RequestContext};

/// Returns an organization. Only its active members may do this.
pub async fn get_organization(
    cx: &Context,
    call: &RequestContext,
    id: OrganizationId,
) -> Result<Organization> {
    let view = Permission::ViewOrganization;
    let access = Access::to_read(cx.store.read(), &call.caller, id, view, cx.now()).await?;
    Ok(access.organization)
}
