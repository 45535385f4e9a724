//! `guestlist.v1.DomainService/AddDomain`

use super::{MAX_DOMAINS, record};
use crate::domain::{
    Action, DomainChallenge, DomainData, DomainId, DomainMode, DomainState, EmailDomain,
    OrganizationDomain, OrganizationId, Permission,
};
use crate::error::{Error, Result, reason};
use crate::operations::access::Access;
use crate::operations::organizations::reject_public_domains;
use crate::operations::{Context, RequestContext};
use crate::storage::{change, domains};

#[derive(Debug, Clone)]
pub struct AddDomain {
    pub organization: OrganizationId,
    pub name: EmailDomain,
    pub mode: DomainMode,
}

/// Adds a domain, which is not verified yet. If the organization already has the domain, it is
/// returned unchanged. Only admins may do this.
pub async fn add_domain(
    cx: &Context,
    call: &RequestContext,
    input: AddDomain,
) -> Result<OrganizationDomain> {
    let now = cx.now();
    let AddDomain { organization, name, mode } = input;
    let new = OrganizationDomain {
        id: DomainId::generate(now),
        organization,
        name,
        challenge: DomainChallenge::generate().map_err(Error::internal)?,
        mode,
        state: DomainState::Pending,
        created_at: now,
        verified_at: None,
        checked_at: None,
        missing_since: None,
    };
    let call = call.clone();
    let added = change!(async move |tx| {
        let manage = Permission::ManageOrganization;
        let access = Access::to_change(tx, &call.caller, organization, manage, now).await?;
        reject_public_domains(std::slice::from_ref(&new.name))?;
        if let Some(known) = domains::find_by_name(tx, organization, &new.name).await? {
            return Ok(known);
        }
        if domains::count_of(tx, organization).await? >= MAX_DOMAINS {
            let what = format!("the organization has {MAX_DOMAINS} domains; remove one first");
            return Err(Error::precondition(reason::DOMAIN_LIMIT, what));
        }
        domains::insert(tx, &new).await?;
        let event = (Action::DomainAdded, DomainData::from(&new));
        record(tx, access.organization, event, new.name.to_string(), &call.actor(), now).await?;
        Ok(new.clone())
    });
    cx.store.write_in(organization, added).await
}
