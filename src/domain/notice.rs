//! Mails about changes; mails that carry invitations are not among them.

use super::text_enum;

/// The change that a mail reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// To admins: requests to join wait.
    RequestsWaiting,
    /// To the account of a request to join: it was approved or denied.
    RequestDecided,
    /// To admins: a domain has lapsed.
    DomainLapsed,
}

text_enum! {
    NoticeKind, "must be a kind of notice":
        RequestsWaiting = "requests_waiting", RequestDecided = "request_decided",
        DomainLapsed = "domain_lapsed";
}
