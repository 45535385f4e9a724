//! `guestlist.v1.DomainService/SetDomainMode`

use super::{DomainRef, record, to_change};
use crate::domain::{Action, DomainData, DomainMode, OrganizationDomain};
use crate::error::Result;
use crate::operations::{Context, RequestContext};
use crate::storage::{change, domains};

/// Sets the mode of a domain: how accounts with a verified address in it may join. Only admins may
/// do this.
pub async fn set_domain_mode(
    cx: &Context,
    call: &RequestContext,
    of: DomainRef,
    mode: DomainMode,
) -> Result<OrganizationDomain> {
    let now = cx.now();
    let call = call.clone();
    let set = change!(async move |tx| {
        let (organization, before) = to_change(tx, &call, of, now).await?;
        if before.mode == mode {
            return Ok(before);
        }
        let after = OrganizationDomain { mode, ..before.clone() };
        domains::set_mode(tx, &after).await?;
        let data = DomainData { previous_mode: Some(before.mode), ..DomainData::from(&after) };
        let note = format!("{}: {} → {mode}", after.name, before.mode);
        let event = (Action::DomainModeChanged, data);
        record(tx, organization, event, note, &call.actor(), now).await?;
        Ok(after)
    });
    cx.store.write_in(of.organization, set).await
}
