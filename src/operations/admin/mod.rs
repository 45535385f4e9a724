//! Administration of the service by its operator.

mod get_organization_stats;
mod list_organizations;
mod set_seat_limit;
mod set_tier;

pub use get_organization_stats::{OrganizationStats, get_organization_stats};
pub use list_organizations::{
    ListOrganizations, OrganizationFilter, OrganizationList, list_organizations,
};
pub use set_seat_limit::set_seat_limit;
pub use set_tier::set_tier;

use crate::domain::{Action, EventData, KeyScope, Organization, OrganizationId};
use crate::error::{Error, Result};
use crate::operations::members::lock_and_end_due;
use crate::operations::{Context, RequestContext};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::change;
use crate::storage::organizations;

/// Changes a field of an organization; needs a key of scope `operator`. `change` returns the
/// field's name and a note for the audit event, or `None` if it changed nothing.
async fn change_organization(
    cx: &Context,
    call: &RequestContext,
    id: OrganizationId,
    change: impl Fn(&mut Organization) -> Option<(&'static str, String)> + Send + Sync + 'static,
) -> Result<()> {
    require_operator(call)?;
    if !call.caller.reaches(id) {
        return Err(Error::not_found());
    }
    let now = cx.now();
    let call = call.clone();
    cx.store
        .write_in(
            id,
            change!(async move |tx| {
                let mut organization =
                    lock_and_end_due(tx, id, now).await?.ok_or_else(Error::not_found)?;
                let Some((field, note)) = change(&mut organization) else { return Ok(()) };
                organization.version += 1;
                organization.updated_at = now;
                organizations::update(tx, &organization).await?;
                let event = NewEvent {
                    action: Action::OrganizationUpdated,
                    data: EventData::organization(&organization, vec![field]),
                    organization: Some(organization.at_version()),
                    actor: &call.actor(),
                    note,
                };
                audit_events::append(tx, event, now).await
            }),
        )
        .await
}

fn require_operator(call: &RequestContext) -> Result<()> {
    match call.caller.scope() {
        Some(KeyScope::Operator) => Ok(()),
        _ => Err(Error::permission_denied("only a key of scope operator may do this")),
    }
}
