//! `UpdateOrganization`

use super::reject_public_domains;
use crate::domain::{
    Action, EmailDomain, EventData, Organization, OrganizationId, OrganizationName, Permission,
};
use crate::error::Result;
use crate::operations::access::Access;
use crate::operations::{Context, RequestContext};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::change;
use crate::storage::organizations;

/// A field that is `None` is not changed.
#[derive(Debug, Clone)]
pub struct UpdateOrganization {
    pub id: OrganizationId,
    pub name: Option<OrganizationName>,
    /// Replaces the complete list.
    pub invite_domains: Option<Vec<EmailDomain>>,
}

/// Changes an organization's name and invite domains. Only admins may do this.
pub async fn update_organization(
    cx: &Context,
    call: &RequestContext,
    input: UpdateOrganization,
) -> Result<Organization> {
    let now = cx.now();
    let call = call.clone();
    cx.store
        .write_in(
            input.id,
            change!(async move |tx| {
                let manage = Permission::ManageOrganization;
                let access = Access::to_change(tx, &call.caller, input.id, manage, now).await?;
                reject_public_domains(input.invite_domains.as_deref().unwrap_or_default())?;

                let before = access.organization;
                let mut after = before.clone();
                let mut changes = Vec::new();
                if let Some(name) = input.name.clone().filter(|name| *name != before.name) {
                    after.name = name;
                    changes.push("name");
                }
                let domains = input.invite_domains.clone();
                if let Some(domains) = domains.filter(|domains| *domains != before.invite_domains) {
                    after.invite_domains = domains;
                    changes.push("invite_domains");
                }
                if changes.is_empty() {
                    return Ok(before);
                }
                after.updated_at = now;
                after.version += 1;
                organizations::update(tx, &after).await?;
                let event = NewEvent {
                    action: Action::OrganizationUpdated,
                    note: changes.join(", "),
                    data: EventData::organization(&after, changes),
                    organization: Some(after.at_version()),
                    actor: &call.actor(),
                };
                audit_events::append(tx, event, now).await?;
                Ok(after)
            }),
        )
        .await
}
