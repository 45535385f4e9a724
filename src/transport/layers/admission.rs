//! Decides from the head of a request whether the request runs. The checks are in this order: the
//! head is valid, the credential is valid, a concurrency limit has a free permit.
//!
//! Before that, no protocol reads any part of the body and the request holds no permit. So an
//! unauthenticated peer costs the server only the head and the response.

use std::sync::Arc;

use http::{HeaderValue, Method, header};
use http_body::Body as _;
use tonic::{Code, Status};

use super::authenticate::{Access, Authenticate, Authentication};
use super::concurrency_limit::{ConcurrencyLimit, Permit};
use super::waiting::{Waiting, WaitingLimits};
use crate::config::Http;
use crate::domain::{Caller, Network};
use crate::error::Error;
use crate::operations::WaitingCall;
use crate::transport::body::holding;
use crate::transport::call::{CallInfo, MaxMessageBytes, Protocol, method_of};
use crate::transport::methods::Methods;
use crate::transport::metrics::Metrics;
use crate::transport::middleware::{Handler, Middleware, Next};
use crate::transport::refuse::{refuse, refuse_head};
use crate::transport::{Request, Response};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Decides whether a request runs. Inserts the [`Caller`] of an authenticated request into its
/// extensions.
pub struct Admission<A> {
    authentication: Arc<Authentication<A>>,
    waiting: Arc<WaitingLimits>,
    limit: ConcurrencyLimit,
    max_anonymous_message: MaxMessageBytes,
}

impl<A: Authenticate> Admission<A> {
    /// Calls of the methods of `waiting` get a [`WaitingCall`] in their extensions.
    pub fn new(
        authenticator: A,
        access: Access,
        methods: &Methods,
        http: &Http,
        waiting: WaitingLimits,
        metrics: Metrics,
    ) -> Self {
        Self {
            limit: ConcurrencyLimit::new(http, methods, &access, metrics),
            authentication: Arc::new(Authentication::new(authenticator, access)),
            waiting: Arc::new(waiting),
            max_anonymous_message: MaxMessageBytes(http.max_anonymous_request_bytes),
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

    /// Public services ignore credentials, so that they work even if the database does not. The
    /// credential is checked only if the limit for callers without a credential is reached: a valid
    /// one gets a permit from the limit for authenticated callers.
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
            // Here an invalid credential has the same result as no credential.
            Ok(None) | Err(_) => Err(busy),
        }
    }

    fn admit_caller(
        &self,
        call: &CallInfo,
        request: &mut Request,
        caller: Arc<Caller>,
    ) -> Result<Permit, Error> {
        call.outcome.set_caller(&caller);
        request.extensions_mut().insert(caller);
        self.limit.acquire_for_caller(method_of(request).map(Arc::as_ref))
    }

    fn admit_anonymous(&self, request: &mut Request) -> Result<Permit, Error> {
        let network = request.extensions().get::<Network>().copied();
        let method = method_of(request).map(Arc::as_ref);
        let permit = self.limit.acquire_for_anonymous(method, network)?;
        request.extensions_mut().insert(self.max_anonymous_message);
        Ok(permit)
    }
}

impl<A: Authenticate> Middleware for Admission<A> {
    async fn handle<S: Handler>(&self, mut request: Request, next: Next<S>) -> Response {
        let call = CallInfo::of(&request);
        if let Some(response) = refuse_head(&request, &call) {
            return response;
        }
        let is_get = call.protocol == Protocol::Connect && request.method() == Method::GET;
        let mut response = match self.admit(&call, &mut request).await {
            Ok(permit) if self.waiting.is_for(request.uri().path()) => {
                let (authentication, limits) = (&self.authentication, &self.waiting);
                let (authentication, limits) = (Arc::clone(authentication), Arc::clone(limits));
                let waiting = Waiting::new(authentication, limits, permit, &call, &request);
                let waiting = waiting.map(Arc::new);
                if let Some(waiting) = waiting.clone() {
                    request.extensions_mut().insert(waiting as Arc<dyn WaitingCall>);
                }
                hold_permit(next.run(request).await, waiting)
            }
            Ok(permit) => hold_permit(next.run(request).await, permit),
            Err(error) => refuse(&call, error),
        };
        if is_get {
            // A cache would keep returning an invite that has ended.
            response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
        }
        response
    }
}

/// Holds the permit until the body of the response ends, since the response occupies memory until
/// then. An error response is small: it releases the permit at once, so the request holds no permit
/// while the rest of its body is drained.
fn hold_permit(response: Response, permit: impl Send + Unpin + 'static) -> Response {
    let is_error = !response.status().is_success()
        || response.headers().contains_key(Status::GRPC_STATUS)
        || response.extensions().get::<Code>().is_some_and(|code| *code != Code::Ok);
    if is_error || response.body().is_end_stream() {
        return response;
    }
    response.map(|body| holding(body, permit))
}

#[cfg(test)]
mod tests;
