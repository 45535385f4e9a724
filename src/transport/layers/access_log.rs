//! One structured event a request, target `access`.
//!
//! It holds the route's template, never a path or query: tokens stand in those.

use tracing::{debug, info};

use super::observe::Done;
use crate::domain::{AccountId, Credential, KeyId};
use crate::transport::protocol::Route;
use crate::transport::status::code_name;

/// Writes the line of a request that has ended. Probes and pages are logged at
/// debug level, so that a probe every second does not drown the rest.
pub fn write(done: &Done<'_>) {
    // One macro per level: tracing fixes an event's level where it stands.
    macro_rules! event {
        ($level:ident) => {
            $level!(
                target: "access",
                // It names the request itself.
                parent: None,
                method = %done.method,
                route = done.call.route.template(),
                protocol = done.call.protocol.name(),
                code = code_name(done.code),
                status = done.status.map(|status| status.as_u16()),
                duration_ms = done.duration.as_micros() as f64 / 1000.0,
                request_id = &*done.call.request.0,
                account = account(done).map(tracing::field::display),
                acting = acting(done).map(tracing::field::display),
                key = key(done).map(KeyId::as_str),
                peer = done.peer.map(|peer| tracing::field::display(&peer.text)),
            )
        };
    }
    match done.call.route {
        Route::System(_) => event!(debug),
        Route::Rpc(_) | Route::Vendor(_) | Route::UnknownMethod | Route::Unknown => event!(info),
    }
}

fn account(done: &Done<'_>) -> Option<AccountId> {
    done.call.observed.caller().map(|caller| caller.account.id)
}

fn acting(done: &Done<'_>) -> Option<AccountId> {
    done.call.observed.caller()?.acting.as_ref().map(|service| service.id)
}

fn key<'a>(done: &Done<'a>) -> Option<&'a KeyId> {
    match &done.call.observed.caller()?.credential {
        Credential::Key { id, .. } => Some(id),
        Credential::Jwt => None,
    }
}
