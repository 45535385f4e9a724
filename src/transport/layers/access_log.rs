//! One log event for each request, with target `access`.
//!
//! The event has the template of the route, never the path or the query: these may contain tokens.

use std::time::Duration;

use http::{Method, StatusCode};
use tonic::Code;
use tracing::{debug, info};

use crate::domain::{AccountId, Credential, KeyId, TraceParent};
use crate::transport::call::{CallInfo, Route};
use crate::transport::peer::Peer;
use crate::transport::status::code_name;

/// A finished request, as [`write()`] logs it.
pub struct FinishedRequest<'a> {
    pub call: &'a CallInfo,
    pub method: &'a Method,
    pub trace: Option<TraceParent>,
    /// `None` if the client cancelled the request before the response.
    pub status: Option<StatusCode>,
    pub code: Code,
    /// From the head of the request to the end of the response.
    pub duration: Duration,
    pub peer: Option<&'a Peer>,
}

/// Logs a request. Probes and pages are logged at debug level, since probes arrive every second.
pub fn write(finished: &FinishedRequest<'_>) {
    // A macro, since tracing fixes the level of an event at its call site.
    macro_rules! event {
        ($level:ident) => {
            $level!(
                target: "access",
                // The event has the request id itself, so it needs no span.
                parent: None,
                method = %finished.method,
                route = finished.call.route.template(),
                protocol = finished.call.protocol.name(),
                code = code_name(finished.code),
                status = finished.status.map(|status| status.as_u16()),
                duration_ms = finished.duration.as_micros() as f64 / 1000.0,
                request_id = &*finished.call.request.0,
                trace_id = finished.trace.map(|trace| tracing::field::display(trace.trace_id())),
                account = account(finished).map(tracing::field::display),
                acting = acting(finished).map(tracing::field::display),
                key = key(finished).map(KeyId::as_str),
                peer = finished.peer.map(|peer| tracing::field::display(&peer.text)),
            )
        };
    }
    match finished.call.route {
        Route::System(_) => event!(debug),
        Route::Rpc(_) | Route::Rest(_) | Route::UnknownMethod | Route::Unknown => event!(info),
    }
}

fn account(finished: &FinishedRequest<'_>) -> Option<AccountId> {
    finished.call.outcome.caller().map(|caller| caller.account.id)
}

fn acting(finished: &FinishedRequest<'_>) -> Option<AccountId> {
    finished.call.outcome.caller()?.acting.as_ref().map(|service| service.id)
}

fn key<'a>(finished: &FinishedRequest<'a>) -> Option<&'a KeyId> {
    match &finished.call.outcome.caller()?.credential {
        Credential::Key { id, .. } => Some(id),
        Credential::Jwt => None,
    }
}
