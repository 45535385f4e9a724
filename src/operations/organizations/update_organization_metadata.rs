//! `guestlist.v1.OrganizationService/UpdateOrganizationMetadata`

use crate::domain::{
    Action, AttributeChanges, Authority, EventData, Organization, OrganizationId, Permission,
};
use crate::error::Result;
use crate::operations::access::Access;
use crate::operations::attributes::{changed, external_id_taken};
use crate::operations::{Context, RequestContext};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::{attributes, change, organizations};

/// Changes an organization's metadata and external id. Only admins may do this. Returns the
/// organization with the caller's membership.
pub async fn update_organization_metadata(
    cx: &Context,
    call: &RequestContext,
    id: OrganizationId,
    changes: AttributeChanges,
) -> Result<(Authority, Organization)> {
    let now = cx.now();
    let call = call.clone();
    cx.store
        .write_in(
            id,
            change!(async move |tx| {
                let manage = Permission::ManageOrganization;
                let access = Access::to_change(tx, &call.caller, id, manage, now).await?;
                let Access { mut organization, member } = access;
                let before = organization.attributes.clone();
                let after = changed(&before, &changes)?;
                let names = before.changes(&after);
                if names.is_empty() {
                    return Ok((member, organization));
                }
                if let Some(new) =
                    after.external_id.as_ref().filter(|_| before.external_id != after.external_id)
                    && attributes::is_of_creator(tx, organization.creator, new).await?
                {
                    return Err(external_id_taken());
                }
                attributes::set_of_organization(tx, id, &after).await?;
                organization.attributes = after;
                organization.version += 1;
                organizations::set_version(tx, organization.at_version()).await?;
                let event = NewEvent {
                    action: Action::OrganizationUpdated,
                    note: names.join(", "),
                    data: EventData::organization(&organization, names),
                    organization: Some(organization.at_version()),
                    actor: &call.actor(),
                };
                audit_events::append(tx, event, now).await?;
                Ok((member, organization))
            }),
        )
        .await
}
