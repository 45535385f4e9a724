//! The caller of a request, as the middleware has stored it: the same for RPC and REST.

use std::sync::Arc;

use http::Extensions;

use crate::domain::{Caller, Network, RequestId, TraceParent};
use crate::error::{Error, Result};
use crate::operations::{MaybeCaller, RequestContext};

/// The caller. It is anonymous only where a setting allows calls without a credential.
pub fn maybe_caller(extensions: &mut Extensions) -> MaybeCaller {
    let network = extensions.get::<Network>().copied();
    let Some(caller) = extensions.remove::<Arc<Caller>>() else {
        return MaybeCaller::Anonymous(network);
    };
    let request = extensions.remove::<RequestId>().unwrap_or_default();
    let trace = extensions.get::<TraceParent>().copied();
    MaybeCaller::Authenticated(RequestContext { caller, request_id: request, network, trace })
}

/// The authenticated caller.
///
/// # Errors
/// UNAUTHENTICATED if there is none.
pub fn authenticated(extensions: &mut Extensions) -> Result<RequestContext> {
    match maybe_caller(extensions) {
        MaybeCaller::Authenticated(call) => Ok(call),
        MaybeCaller::Anonymous(_) => Err(Error::unauthenticated("a credential is needed")),
    }
}
