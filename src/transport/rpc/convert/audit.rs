//! Messages about the audit trail.

use super::{Fields, to_timestamp};
use crate::domain::{AuditEvent, OrganizationId};
use crate::error::Result;
use crate::operations::audit::{AuditList, EventFilter, ListAuditEvents};
use crate::proto::guestlist::v1 as pb;

pub fn list_audit_events(message: pb::ListAuditEventsRequest) -> Result<ListAuditEvents> {
    let mut fields = Fields::default();
    let organization: Option<OrganizationId> =
        fields.parse_optional("organization_id", &message.organization_id);
    let page = fields.page(message.page);
    let from = message.filter.unwrap_or_default();
    if fields.count("filter.actions", &from.actions, 25) {
        for (i, action) in from.actions.iter().enumerate() {
            fields.text(format_args!("filter.actions[{i}]"), action, 64);
        }
    }
    let account = fields.parse_optional("filter.account_id", &from.account_id);
    fields.text("filter.target_id", &from.target_id, 64);
    let start = from.start_time.and_then(|at| fields.timestamp("filter.start_time", at));
    let end = from.end_time.and_then(|at| fields.timestamp("filter.end_time", at));
    fields.finish(|| {
        let (size, token) = page?;
        let filter = EventFilter {
            actions: from.actions,
            account,
            target_id: (!from.target_id.is_empty()).then_some(from.target_id),
            start,
            end,
        };
        Some(ListAuditEvents { organization, filter, size, token })
    })
}

impl From<AuditEvent> for pb::AuditEvent {
    fn from(event: AuditEvent) -> Self {
        let text =
            |id: Option<crate::domain::AccountId>| id.map(|id| id.to_string()).unwrap_or_default();
        Self {
            id: event.id.to_string(),
            time: Some(to_timestamp(event.at)),
            action: event.action,
            actor_account_id: text(event.actor),
            on_behalf_of_account_id: text(event.on_behalf_of),
            target_type: event.target_kind,
            target_id: event.target_id,
            organization_id: event.organization.map(|id| id.to_string()).unwrap_or_default(),
            request_id: event.request_id,
            note: event.note,
        }
    }
}

impl From<AuditList> for pb::ListAuditEventsResponse {
    fn from(list: AuditList) -> Self {
        Self {
            events: list.events.into_iter().map(Into::into).collect(),
            next_page_token: list.next_token,
        }
    }
}
