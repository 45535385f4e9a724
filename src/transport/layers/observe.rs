//! Follows each request to the end of its answer, for the access log and the
//! metrics.
//!
//! The outer half sees every request, however it ends, a client that goes away
//! included. The inner half, behind the translation, sees what only the tonic
//! side knows: the code in the trailers. `admission` notes the caller.
//! They meet in [`Observed`], which is part of the request's [`CallInfo`].

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};

use super::holding::holding;
use super::metrics::Metrics;
use super::{Handler, Middleware, Next, access_log};
use crate::domain::Caller;
use crate::transport::protocol::CallInfo;
use crate::transport::server::Peer;
use crate::transport::status::code_of_http;
use crate::transport::{Request, Response};

/// What is found out on the way.
#[derive(Debug, Default)]
pub struct Observed {
    code: OnceLock<Code>,
    caller: OnceLock<Arc<Caller>>,
}

impl Observed {
    /// Notes who called; the first note stands.
    pub fn called_by(&self, caller: &Arc<Caller>) {
        self.caller.get_or_init(|| Arc::clone(caller));
    }

    /// Who did.
    pub fn caller(&self) -> Option<&Caller> {
        self.caller.get().map(Arc::as_ref)
    }

    fn ended_with(&self, code: Code) {
        self.code.get_or_init(|| code);
    }
}

/// All that is known of a request at its end.
pub struct Done<'a> {
    /// Protocol, route, name and caller.
    pub call: &'a CallInfo,
    /// The HTTP method.
    pub method: &'a Method,
    /// The HTTP status; none if there was no answer.
    pub status: Option<StatusCode>,
    /// How it ended.
    pub code: Code,
    /// From the request's head to the end of the answer.
    pub duration: Duration,
    /// The other end of the connection.
    pub peer: Option<&'a Peer>,
}

/// The outer half.
pub struct Observe {
    metrics: Arc<Metrics>,
}

impl Observe {
    /// Counts into `metrics`.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics: Arc::new(metrics) }
    }
}

impl Middleware for Observe {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        let mut watch = Watch::start(Arc::clone(&self.metrics), &request);
        let response = next.run(request).await;
        watch.answer = Some((response.status(), response.extensions().get::<Code>().copied()));
        response.map(|body| holding(body, watch))
    }
}

/// Reports when it is dropped: with the answer's last byte, or as soon as the
/// client has gone.
struct Watch {
    metrics: Arc<Metrics>,
    started: Instant,
    call: Arc<CallInfo>,
    method: Method,
    peer: Option<Peer>,
    answer: Option<(StatusCode, Option<Code>)>,
}

impl Watch {
    fn start(metrics: Arc<Metrics>, request: &Request) -> Self {
        metrics.started();
        Self {
            metrics,
            started: Instant::now(),
            call: CallInfo::of(request),
            method: request.method().clone(),
            peer: request.extensions().get().cloned(),
            answer: None,
        }
    }

    /// The best that is known: what a layer said in its refusal, what the tonic
    /// side said, and HTTP's word where neither did.
    fn code(&self) -> Code {
        let Some((status, said)) = self.answer else {
            return Code::Cancelled;
        };
        let inner = self.call.observed.code.get().copied();
        let of_http = code_of_http(status);
        match (said, inner) {
            (Some(code), _) => code,
            // The translation of a good answer failed.
            (None, Some(Code::Ok)) => of_http,
            (None, Some(code)) => code,
            // An answer of gRPC's that was dropped before its trailers.
            (None, None) if self.call.protocol.is_grpc() && of_http == Code::Ok => Code::Cancelled,
            (None, None) => of_http,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let done = Done {
            call: &self.call,
            method: &self.method,
            status: self.answer.map(|(status, _)| status),
            code: self.code(),
            duration: self.started.elapsed(),
            peer: self.peer.as_ref(),
        };
        self.metrics.finished(&done);
        access_log::write(&done);
    }
}

/// The inner half: reads the code out of a tonic answer.
pub struct Record;

impl Middleware for Record {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        let call = CallInfo::of(&request);
        let response = next.run(request).await;
        if let Some(code) = code_in(response.headers()) {
            call.observed.ended_with(code);
            return response;
        }
        response.map(|body| Body::new(Recorded { body, call }))
    }
}

fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()))
}

struct Recorded {
    body: Body,
    call: Arc<CallInfo>,
}

impl HttpBody for Recorded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(code) = frame.trailers_ref().and_then(code_in)
        {
            self.call.observed.ended_with(code);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
