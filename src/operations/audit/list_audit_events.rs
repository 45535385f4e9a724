//! `guestlist.v1.AuditService/ListAuditEvents`

use crate::domain::{AuditEvent, FeedPlace, KeyScope, OrganizationId, PageSize, Permission};
use crate::error::{Error, Result};
use crate::operations::access::Access;
use crate::operations::cursor::Pagination;
use crate::operations::encoding::Encoding;
use crate::operations::{Context, RequestContext};
use crate::storage::audit_events::{self, EventFilter};
use crate::storage::organizations;

#[derive(Debug, Clone)]
pub struct ListAuditEvents {
    /// `None`: the events that belong to no organization.
    pub organization: Option<OrganizationId>,
    pub filter: EventFilter,
    pub size: PageSize,
    /// The token of the previous page; empty for the first page.
    pub token: String,
}

/// One page of events, newest first.
#[derive(Debug, Clone)]
pub struct AuditList {
    pub events: Vec<AuditEvent>,
    /// Empty on the last page.
    pub next_token: String,
}

/// Lists the audit events of an organization. Needs an admin of the organization or, if it was
/// deleted, a key of scope `operator`. Such a key that is bound to no organization also lists the
/// events that belong to no organization.
pub async fn list_audit_events(
    cx: &Context,
    call: &RequestContext,
    input: ListAuditEvents,
) -> Result<AuditList> {
    let db = cx.store.read();
    let caller = &call.caller;
    let is_operator = caller.scope() == Some(KeyScope::Operator);
    match input.organization {
        Some(id) => {
            if let Err(rejection) =
                Access::to_read(db, caller, id, Permission::ReadAudit, cx.now()).await
            {
                let is_deleted = is_operator
                    && caller.reaches(id)
                    && organizations::find(db, id).await?.is_none();
                if !is_deleted {
                    return Err(rejection);
                }
            }
        }
        None if is_operator && caller.bound_to().is_none() => {}
        None => {
            return Err(Error::permission_denied(
                "only a key of scope operator that is bound to no organization may list the \
                 events outside organizations",
            ));
        }
    }

    let pagination = Pagination::new(encode_list(&input), caller.account.id, "page.page_token");
    let before: Option<FeedPlace> = pagination.cursor(&cx.keyring, &input.token)?;
    let _permit = cx.limits.list(input.organization).await?;
    let mut events =
        audit_events::page(db, input.organization, &input.filter, before, input.size.get() + 1)
            .await?;
    let is_unfiltered = before.is_none() && input.filter == EventFilter::default();
    if input.organization.is_some() && events.is_empty() && is_unfiltered {
        // Every organization has at least the event of its creation, so this one never existed.
        return Err(Error::not_found());
    }
    let next_token = pagination.cut(&cx.keyring, &mut events, input.size, |last| last.place)?;
    Ok(AuditList { events, next_token })
}

fn encode_list(input: &ListAuditEvents) -> Encoding {
    let EventFilter { actions, account, target_id, start, end } = &input.filter;
    Encoding::new("ListAuditEvents")
        .option(input.organization, Encoding::id)
        .list(actions, |encoding, action| encoding.text(action))
        .option(*account, Encoding::id)
        .option(target_id.as_deref(), Encoding::text)
        .option(*start, Encoding::time)
        .option(*end, Encoding::time)
}
