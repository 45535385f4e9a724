//! Reading the audit trail. Every change writes its events in its own transaction.

mod list_audit_events;

pub use crate::storage::audit_events::EventFilter;
pub use list_audit_events::{AuditList, ListAuditEvents, list_audit_events};
