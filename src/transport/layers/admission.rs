//! Decides from a request's head alone whether it runs: what the head shows to be
//! wrong is refused, then a credential is asked for, then a place within the bounds.
//!
//! Nothing of a body is read before, in any protocol, and no place is held: a peer
//! without a valid credential costs its head and the answer.

use std::sync::Arc;

use http::{HeaderValue, Method, header};
use http_body::Body as _;
use tonic::{Code, Status};

use super::authenticate::{Access, Authenticate, Authentication};
use super::holding::holding;
use super::load::{Load, Permit};
use super::{Handler, Middleware, Next};
use crate::config::Http;
use crate::domain::{Caller, Network};
use crate::error::Error;
use crate::transport::protocol::methods::Methods;
use crate::transport::protocol::{CallInfo, MessageBound, Protocol, detect, method_of};
use crate::transport::rest::door;
use crate::transport::{Request, Response};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// See the module. Puts the [`Caller`] into the request's extensions.
pub struct Admission<A> {
    authentication: Authentication<A>,
    load: Load,
    anonymous_message: MessageBound,
}

impl<A: Authenticate> Admission<A> {
    /// Asks `authenticator` for callers wherever `access` does not say otherwise, and
    /// keeps the bounds of `http`.
    pub fn new(authenticator: A, access: Access, methods: &Methods, http: &Http) -> Self {
        Self {
            load: Load::new(http, methods, &access),
            authentication: Authentication::new(authenticator, access),
            anonymous_message: MessageBound(http.max_anonymous_request_bytes),
        }
    }

    async fn admit(&self, call: &CallInfo, request: &mut Request) -> Result<Permit, Error> {
        if self.authentication.is_public(request.uri().path()) {
            return self.admit_to_public(call, request).await;
        }
        let path = request.uri().path();
        match self.authentication.caller(path, request.headers(), &call.request).await? {
            Some(caller) => self.admit_caller(call, request, caller),
            None => self.admit_anonymous(request),
        }
    }

    /// Methods of public services answer without a look at credentials, so that they
    /// answer while the store does not. Only where the bound of callers without a
    /// credential has no place left, a valid credential lets its caller in.
    async fn admit_to_public(
        &self,
        call: &CallInfo,
        request: &mut Request,
    ) -> Result<Permit, Error> {
        let busy = match self.admit_anonymous(request) {
            Ok(permit) => return Ok(permit),
            Err(busy) => busy,
        };
        let path = request.uri().path();
        match self.authentication.caller(path, request.headers(), &call.request).await {
            Ok(Some(caller)) => self.admit_caller(call, request, caller),
            // A broken credential is as good as none here.
            Ok(None) | Err(_) => Err(busy),
        }
    }

    fn admit_caller(
        &self,
        call: &CallInfo,
        request: &mut Request,
        caller: Arc<Caller>,
    ) -> Result<Permit, Error> {
        call.observed.called_by(&caller);
        request.extensions_mut().insert(caller);
        self.load.caller(method_of(request).map(Arc::as_ref))
    }

    fn admit_anonymous(&self, request: &mut Request) -> Result<Permit, Error> {
        let network = request.extensions().get::<Network>().copied();
        let permit = self.load.anonymous(method_of(request).map(Arc::as_ref), network)?;
        request.extensions_mut().insert(self.anonymous_message);
        Ok(permit)
    }
}

impl<A: Authenticate> Middleware for Admission<A> {
    async fn handle<S: Handler>(&self, mut request: Request, next: Next<S>) -> Response {
        let call = CallInfo::of(&request);
        let refusal = match call.protocol {
            Protocol::Vendor(vendor) => door::refuse(vendor, &request, &call),
            _ => detect::refuse(&request, &call),
        };
        if let Some(refusal) = refusal {
            return refusal;
        }
        let is_get = call.protocol == Protocol::Connect && request.method() == Method::GET;
        let mut response = match self.admit(&call, &mut request).await {
            Ok(permit) => held(next.run(request).await, permit),
            Err(error) => call.refuse(error),
        };
        if is_get {
            // A cache would go on answering for an invite that has ended.
            response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
        }
        response
    }
}

/// A request runs until its answer has been taken: its memory is held so long. A
/// refusal is small, and holds nothing while the rest of a body is read on.
fn held(response: Response, permit: Permit) -> Response {
    let refused = !response.status().is_success()
        || response.headers().contains_key(Status::GRPC_STATUS)
        || response.extensions().get::<Code>().is_some_and(|code| *code != Code::Ok);
    if refused || response.body().is_end_stream() {
        return response;
    }
    response.map(|body| holding(body, permit))
}

#[cfg(test)]
mod tests;
