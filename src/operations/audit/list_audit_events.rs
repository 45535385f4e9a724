//! `guestlist.v1.AuditService/ListAuditEvents`

use uuid::Uuid;

use crate::domain::{AuditEvent, KeyScope, OrganizationId, PageSize, Permission};
use crate::error::{Error, Result};
use crate::operations::access::Access;
use crate::operations::cursor::PageOf;
use crate::operations::encoding::Encoding;
use crate::operations::{Call, Context};
use crate::storage::audit_events::{self, EventFilter};
use crate::storage::organizations;

/// What to list.
#[derive(Debug, Clone)]
pub struct ListAuditEvents {
    /// Of which organization.
    pub organization: OrganizationId,
    /// Which events.
    pub filter: EventFilter,
    /// How many a page may hold.
    pub size: PageSize,
    /// The token of the page before, or empty.
    pub token: String,
}

/// One page of events, newest first.
#[derive(Debug, Clone)]
pub struct AuditList {
    /// The events.
    pub events: Vec<AuditEvent>,
    /// Empty on the last page.
    pub next_token: String,
}

/// Lists an organization's audit events: to its admins; once it is deleted, to
/// keys of scope `operator`.
pub async fn list_audit_events(
    cx: &Context,
    call: &Call,
    input: ListAuditEvents,
) -> Result<AuditList> {
    let db = cx.store.read();
    let caller = &call.caller;
    let read = Permission::ReadAudit;
    if let Err(refusal) = Access::to_read(db, caller, input.organization, read).await {
        let operator = caller.scope() == Some(KeyScope::Operator)
            && caller.reaches(input.organization)
            && organizations::find(db, input.organization).await?.is_none();
        if !operator {
            return Err(refusal);
        }
    }

    let page_of = PageOf::new(shown(&input), caller.account.id, "page.page_token");
    let before: Option<Uuid> = page_of.cursor(&cx.keyring, &input.token)?;
    let mut events = audit_events::page(
        db,
        input.organization,
        &input.filter,
        before.map(Into::into),
        input.size.get() + 1,
    )
    .await?;
    if events.is_empty() && before.is_none() && input.filter == EventFilter::default() {
        // Every organization that ever was has at least the event of its making.
        return Err(Error::not_found());
    }
    let next_token =
        page_of.cut(&cx.keyring, &mut events, input.size, |last| Uuid::from(last.id))?;
    Ok(AuditList { events, next_token })
}

fn shown(input: &ListAuditEvents) -> Encoding {
    let EventFilter { actions, account, target_id, start, end } = &input.filter;
    Encoding::new("ListAuditEvents")
        .id(input.organization)
        .list(actions, |encoding, action| encoding.text(action))
        .option(*account, Encoding::id)
        .option(target_id.as_deref(), Encoding::text)
        .option(*start, Encoding::time)
        .option(*end, Encoding::time)
}
