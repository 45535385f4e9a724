//! Endpoints that events are sent to.

use super::{AuditEventId, OrganizationId, Timestamp, WebhookDeliveryId, WebhookId, text_enum};

/// An endpoint for which this many deliveries wait gets no new events.
pub const MAX_WAITING_DELIVERIES: u64 = 10_000;

/// An endpoint of an organization, or of the deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub id: WebhookId,
    /// `None`: it belongs to the deployment and gets the events of all organizations.
    pub organization: Option<OrganizationId>,
    pub url: String,
    pub description: String,
    /// It gets events of these types only; empty: of all types.
    pub event_types: Vec<String>,
    /// `None`: it is enabled.
    pub disabled: Option<Disabling>,
    /// Since this moment it has accepted nothing.
    pub first_failure_at: Option<Timestamp>,
    /// Until this moment requests are also signed with the previous secret.
    pub previous_secret_ends_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// When and why no events are sent to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disabling {
    pub at: Timestamp,
    pub reason: DisablingReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisablingReason {
    /// An admin or an operator has disabled it.
    Requested,
    /// It has responded with HTTP status 410.
    Gone,
    /// It has accepted nothing for five days.
    Failing,
}

/// An event that an endpoint has not accepted yet, or that is sent to it once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDelivery {
    pub id: WebhookDeliveryId,
    pub event: AuditEventId,
    pub event_type: String,
    pub attempts: i64,
    /// `None` while the endpoint is disabled.
    pub next_attempt_at: Option<Timestamp>,
    pub last_attempt_at: Option<Timestamp>,
    /// The HTTP status of the last attempt.
    pub status: Option<i64>,
    /// Why the last attempt failed, as a short text.
    pub reason: String,
    /// The beginning of the last response.
    pub answer: String,
}

impl Webhook {
    /// Whether it gets events of this type.
    pub fn takes(&self, event_type: &str) -> bool {
        self.event_types.is_empty() || self.event_types.iter().any(|taken| taken == event_type)
    }
}

text_enum! {
    DisablingReason, "must be REQUESTED, GONE or FAILING":
        Requested = "REQUESTED", Gone = "GONE", Failing = "FAILING";
}
