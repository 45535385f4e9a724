//! Who asks, as the layers have written it down: for every door alike.

use std::sync::Arc;

use http::Extensions;

use crate::domain::{Caller, Network, RequestId};
use crate::error::{Error, Result};
use crate::operations::{MaybeCaller, RequestContext};

/// Who asks. The caller is missing only where a setting lets requests through
/// without a credential.
pub fn maybe_caller(extensions: &mut Extensions) -> MaybeCaller {
    let network = extensions.get::<Network>().copied();
    let Some(caller) = extensions.remove::<Arc<Caller>>() else {
        return MaybeCaller::Anonymous(network);
    };
    let request = extensions.remove::<RequestId>().unwrap_or_default();
    MaybeCaller::Authenticated(RequestContext { caller, request_id: request, network })
}

/// The same where a caller is needed.
///
/// # Errors
/// UNAUTHENTICATED without one.
pub fn authenticated(extensions: &mut Extensions) -> Result<RequestContext> {
    match maybe_caller(extensions) {
        MaybeCaller::Authenticated(call) => Ok(call),
        MaybeCaller::Anonymous(_) => Err(Error::unauthenticated("a credential is needed")),
    }
}
