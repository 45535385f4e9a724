//! Mails that tell of a change, beside those that carry invitations.

use super::text_enum;

/// What a mail tells of.
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
