//! Who asks, as the layers have written it down: for every door alike.

use std::sync::Arc;

use http::Extensions;

use crate::domain::{Caller, Network, RequestId};
use crate::error::{Error, Result};
use crate::operations::{Call, Visitor};

/// Who asks. The caller is missing only where a setting lets requests through
/// without a credential.
pub fn visitor(extensions: &mut Extensions) -> Visitor {
    let network = extensions.get::<Network>().copied();
    let Some(caller) = extensions.remove::<Arc<Caller>>() else {
        return Visitor::Unknown(network);
    };
    let request = extensions.remove::<RequestId>().unwrap_or_default();
    Visitor::Known(Call { caller, request, network })
}

/// The same where a caller is needed.
///
/// # Errors
/// UNAUTHENTICATED without one.
pub fn authenticated(extensions: &mut Extensions) -> Result<Call> {
    match visitor(extensions) {
        Visitor::Known(call) => Ok(call),
        Visitor::Unknown(_) => Err(Error::unauthenticated("a credential is needed")),
    }
}
