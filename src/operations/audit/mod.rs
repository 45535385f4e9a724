//! Reading the audit trail. It is written by the changes it tells of.

mod list_audit_events;

pub use crate::storage::audit_events::EventFilter;
pub use list_audit_events::{AuditList, ListAuditEvents, list_audit_events};
