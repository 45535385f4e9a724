//! The span of a call, for the export of traces. A call has no span if its trace is not exported.

use http::{HeaderMap, StatusCode};
use tonic::Code;
use tracing::{Span, info_span};

use crate::domain::TraceParent;
use crate::telemetry::trace;
use crate::transport::Request;
use crate::transport::call::{CallInfo, Protocol, Route};
use crate::transport::status::code_name;

const TRACESTATE: &str = "tracestate";

/// The trace of a call.
pub struct CallTrace {
    pub span: Span,
    /// The parent of further work in this trace: the span, else the `traceparent` of the caller.
    pub place: Option<TraceParent>,
}

impl CallTrace {
    /// Starts the span if the trace of the call is exported. In that case the extensions of the
    /// request contain the `TraceParent` of the span instead of the caller's.
    pub fn begin(request: &mut Request, call: &CallInfo) -> Self {
        let caller = call.trace;
        if matches!(call.route, Route::System(_)) || !trace::is_sampled(caller) {
            return Self { span: Span::none(), place: caller };
        }
        let span = span(request, call);
        trace::set_parent(&span, caller, state(request.headers()).as_deref());
        let place = trace::place_of(&span);
        if let Some(place) = place {
            request.extensions_mut().insert(place);
            if caller.is_none() {
                Span::current().record("trace_id", tracing::field::display(place.trace_id()));
            }
        }
        Self { span, place: place.or(caller) }
    }

    /// Records the end of the call in its span.
    pub fn end(&self, call: &CallInfo, code: Code, status: Option<StatusCode>) {
        if self.span.is_disabled() {
            return;
        }
        // The exporter uses the last exit from a span as its end time.
        let _entered = self.span.enter();
        let is_error = match (call.protocol, &call.route) {
            (Protocol::Connect | Protocol::ConnectStream(_), Route::Rpc(_)) => {
                if code != Code::Ok {
                    self.span.record("rpc.connect_rpc.error_code", code_name(code));
                }
                is_fault(code)
            }
            (_, Route::Rpc(_)) => {
                self.span.record("rpc.grpc.status_code", i64::from(i32::from(code)));
                is_fault(code)
            }
            _ => {
                let status = status.map(|status| i64::from(status.as_u16()));
                // Signed: the layer exports other numbers as text.
                self.span.record("http.response.status_code", status);
                status.is_none_or(|status| status >= 500)
            }
        };
        if is_error {
            self.span.record("otel.status_code", "ERROR");
            self.span.record("error.type", code_name(code));
        }
    }
}

/// A span with the attributes of OpenTelemetry's conventions for RPC, or for HTTP.
fn span(request: &Request, call: &CallInfo) -> Span {
    let id = &*call.request.0;
    match &call.route {
        Route::Rpc(method) => {
            let name = method.path().trim_start_matches('/');
            let (service, method) = name.split_once('/').unwrap_or((name, ""));
            info_span!(
                target: "otel::root",
                "call",
                otel.name = name,
                otel.kind = "server",
                otel.status_code = tracing::field::Empty,
                "error.type" = tracing::field::Empty,
                rpc.system = match call.protocol {
                    Protocol::Connect | Protocol::ConnectStream(_) => "connect_rpc",
                    _ => "grpc",
                },
                rpc.service = service,
                rpc.method = method,
                rpc.grpc.status_code = tracing::field::Empty,
                rpc.connect_rpc.error_code = tracing::field::Empty,
                guestlist.protocol = call.protocol.name(),
                guestlist.request_id = id,
            )
        }
        route => info_span!(
            target: "otel::root",
            "call",
            otel.name = &*route.name(request.method()),
            otel.kind = "server",
            otel.status_code = tracing::field::Empty,
            "error.type" = tracing::field::Empty,
            http.request.method = request.method().as_str(),
            http.route = route.template(),
            http.response.status_code = tracing::field::Empty,
            guestlist.protocol = call.protocol.name(),
            guestlist.request_id = id,
        ),
    }
}

/// Whether OpenTelemetry's conventions count this code as an error of the server.
fn is_fault(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};

    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}

/// The values of all `tracestate` headers, joined with commas.
fn state(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(TRACESTATE).iter();
    let all: Vec<&str> = all.filter_map(|value| value.to_str().ok()).collect();
    (!all.is_empty()).then(|| all.join(","))
}
