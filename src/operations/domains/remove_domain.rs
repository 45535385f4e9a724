//! `guestlist.v1.DomainService/RemoveDomain`

use super::{DomainRef, record, to_change};
use crate::domain::{Action, DomainData};
use crate::error::Result;
use crate::operations::{Context, RequestContext};
use crate::storage::{change, domains};

/// Removes a domain. It no longer allows accounts to join or to request to join, and another
/// organization may verify it. Members that joined by it stay. Only admins may do this.
pub async fn remove_domain(cx: &Context, call: &RequestContext, of: DomainRef) -> Result<()> {
    let now = cx.now();
    let call = call.clone();
    let removed = change!(async move |tx| {
        let (organization, domain) = to_change(tx, &call, of, now).await?;
        domains::delete(tx, of.organization, of.id).await?;
        let event = (Action::DomainRemoved, DomainData::from(&domain));
        record(tx, organization, event, domain.name.to_string(), &call.actor(), now).await
    });
    cx.store.write_in(of.organization, removed).await
}
