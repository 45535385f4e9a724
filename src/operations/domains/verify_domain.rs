//! `guestlist.v1.DomainService/VerifyDomain`

use super::{DomainRef, record, to_change};
use crate::domain::{Action, DomainData, DomainState, OrganizationDomain, Permission};
use crate::error::{Error, Kind, Result, reason};
use crate::operations::access::Access;
use crate::operations::{Context, RequestContext};
use crate::storage::{change, domains};

/// Looks for the proof of a domain in DNS, and marks the domain as verified if the proof exists.
/// Only admins may do this.
pub async fn verify_domain(
    cx: &Context,
    call: &RequestContext,
    of: DomainRef,
) -> Result<OrganizationDomain> {
    let db = cx.store.read();
    let manage = Permission::ManageOrganization;
    Access::to_read(db, &call.caller, of.organization, manage, cx.now()).await?;
    let found = domains::find(db, of.organization, of.id).await?;
    let domain = found.ok_or_else(Error::not_found)?;
    {
        // Limits the concurrent lookups of an organization, because a lookup waits for other
        // servers.
        let _permit = cx.limits.list(of.organization).await?;
        require_proof(cx, &domain).await?;
    }
    let (now, checks, call) = (cx.now(), cx.rules.domain_checks, call.clone());
    let verified = change!(async move |tx| {
        let (organization, before) = to_change(tx, &call, of, now).await?;
        // The name and the challenge of an id never change, so the proof that was found is also
        // that of `before`.
        let after = before.clone().proved(now);
        if before.state == DomainState::Verified {
            domains::update(tx, &after, after.next_check(checks)).await?;
            return Ok(after);
        }
        if domains::verified(tx, &before.name).await?.is_some() {
            return Err(Error::new(Kind::AlreadyExists, "another organization has this domain")
                .with_reason(reason::DOMAIN_TAKEN));
        }
        domains::update(tx, &after, after.next_check(checks)).await?;
        let event = (Action::DomainVerified, DomainData::from(&after));
        record(tx, organization, event, after.name.to_string(), &call.actor(), now).await?;
        Ok(after)
    });
    cx.store.write_in(of.organization, verified).await
}

async fn require_proof(cx: &Context, domain: &OrganizationDomain) -> Result<()> {
    let values = cx.dns.txt(&domain.record_name()).await.map_err(|error| {
        Error::new(Kind::Unavailable, "the name servers gave no answer; try again later")
            .with_reason(reason::DNS_UNAVAILABLE)
            .with_source(error)
    })?;
    match domain.is_proved_by(&values) {
        true => Ok(()),
        false => Err(Error::precondition(
            reason::DOMAIN_NOT_PROVED,
            "the TXT record was not found; it may take as long as its zone lets answers be cached",
        )),
    }
}
