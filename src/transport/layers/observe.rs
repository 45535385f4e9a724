//! Follows each request to the end of its response, for the access log, the metrics and traces.
//!
//! [`Observe`] is outside of the translation and sees the end of every request, even if the client
//! cancels it. [`RecordStatus`] is inside of the translation and sees the gRPC code in the headers
//! or trailers. They share the request's [`CallOutcome`](crate::transport::call::CallOutcome).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{HeaderMap, Method, StatusCode};
use http_body::Body as HttpBody;
use tonic::Code;
use tonic::body::Body;
use tracing::Instrument;

use super::access_log::{self, FinishedRequest};
use super::call_trace::CallTrace;
use crate::transport::body::{Adapt, PollFrame, adapted, holding};
use crate::transport::call::CallInfo;
use crate::transport::metrics::Metrics;
use crate::transport::middleware::{Handler, Middleware, Next};
use crate::transport::peer::Peer;
use crate::transport::status::code_of_http;
use crate::transport::{Request, Response};

/// Counts and logs every request at its end.
pub struct Observe {
    metrics: Arc<Metrics>,
}

impl Observe {
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics: Arc::new(metrics) }
    }
}

impl Middleware for Observe {
    async fn handle<S: Handler>(&self, mut request: Request, next: Next<S>) -> Response {
        let mut guard = RequestGuard::new(Arc::clone(&self.metrics), &mut request);
        let response = next.run(request).instrument(guard.trace.span.clone()).await;
        guard.response = Some((response.status(), response.extensions().get::<Code>().copied()));
        response.map(|body| holding(body, guard))
    }
}

/// Reports the request when it is dropped: at the last byte of the response, or when the client
/// cancels the request.
struct RequestGuard {
    metrics: Arc<Metrics>,
    started: Instant,
    call: Arc<CallInfo>,
    method: Method,
    peer: Option<Peer>,
    trace: CallTrace,
    response: Option<(StatusCode, Option<Code>)>,
}

impl RequestGuard {
    fn new(metrics: Arc<Metrics>, request: &mut Request) -> Self {
        metrics.started();
        let call = CallInfo::of(request);
        Self {
            metrics,
            started: Instant::now(),
            trace: CallTrace::begin(request, &call),
            call,
            method: request.method().clone(),
            peer: request.extensions().get().cloned(),
            response: None,
        }
    }

    /// The code of the error that `refuse` wrote, else the code of tonic's response, else the code
    /// for the HTTP status.
    fn code(&self) -> Code {
        let Some((status, refused)) = self.response else {
            return Code::Cancelled;
        };
        let of_http = code_of_http(status);
        match (refused, self.call.outcome.code()) {
            (Some(code), _) => code,
            // The call succeeded, but the translation of its response may have failed.
            (None, Some(Code::Ok)) => of_http,
            (None, Some(code)) => code,
            // The client cancelled the request before the trailers of a gRPC response.
            (None, None) if self.call.protocol.is_grpc() && of_http == Code::Ok => Code::Cancelled,
            (None, None) => of_http,
        }
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let (code, duration) = (self.code(), self.started.elapsed());
        let status = self.response.map(|(status, _)| status);
        self.trace.end(&self.call, code, status);
        let route = self.call.route.name(&self.method);
        self.metrics.finished(route, self.call.protocol.name(), code, duration);
        access_log::write(&FinishedRequest {
            call: &self.call,
            method: &self.method,
            trace: self.trace.place,
            status,
            code,
            duration,
            peer: self.peer.as_ref(),
        });
    }
}

/// Records the code of tonic's response.
pub struct RecordStatus;

impl Middleware for RecordStatus {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        let call = CallInfo::of(&request);
        let response = next.run(request).await;
        if let Some(code) = code_in(response.headers()) {
            call.outcome.set_code(code);
            return response;
        }
        response.map(|body| adapted(body, RecordTrailers(call)))
    }
}

fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()))
}

/// A body adapter that records the code in the trailers.
struct RecordTrailers(Arc<CallInfo>);

impl Adapt for RecordTrailers {
    fn poll_frame(&mut self, body: &mut Body, cx: &mut Context<'_>) -> PollFrame {
        let frame = Pin::new(body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(code) = frame.trailers_ref().and_then(code_in)
        {
            self.0.outcome.set_code(code);
        }
        frame
    }
}
