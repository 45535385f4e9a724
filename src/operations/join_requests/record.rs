//! Audit events of requests to join.

use crate::domain::{
    Action, Actor, EventData, JoinRequest, JoinRequestData, JoinRequestId, OrganizationId,
    OrganizationVersion, Timestamp,
};
use crate::error::{Error, Result, reason};
use crate::storage::Tx;
use crate::storage::audit_events::{self, NewEvent};

/// Identifies a request to join.
#[derive(Debug, Clone, Copy)]
pub struct JoinRequestRef {
    pub organization: OrganizationId,
    pub id: JoinRequestId,
}

/// Appends the audit event of a change of a request.
pub(super) async fn record(
    tx: &Tx,
    action: Action,
    request: &JoinRequest,
    version: OrganizationVersion,
    actor: &Actor,
    now: Timestamp,
) -> Result<()> {
    let note = match request.invite {
        Some(invite) => format!("of account {}, by link {invite}", request.account),
        None => format!("of account {}, by domain", request.account),
    };
    let data = EventData::JoinRequest(JoinRequestData::from(request));
    let event = NewEvent { action, data, organization: Some(version), actor, note };
    audit_events::append(tx, event, now).await
}

/// The error for a request that already has another outcome.
pub(super) fn decided() -> Error {
    let what = "the request is not pending any more";
    Error::precondition(reason::REQUEST_DECIDED, what)
}
