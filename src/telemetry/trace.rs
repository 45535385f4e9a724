//! The traces for export: which requests have a trace, and the parents of their spans.
//!
//! A span for export is an ordinary span of `tracing` with the target `otel`. It never appears in
//! the log. It is exported if it is created inside another exported span. A span with the target
//! `otel::root` begins the part of a trace in this process: create one only if [`is_sampled`]
//! returns true.

use std::str::FromStr;
use std::sync::OnceLock;

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler, SamplingDecision, ShouldSample,
};
use tracing::{Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::domain::TraceParent;

/// The target of spans for export.
pub(super) const TARGET: &str = "otel";
/// The target of spans that begin the part of a trace in this process.
const ROOT_TARGET: &str = "otel::root";

/// Decides which requests have spans; unset while no trace is exported.
static SAMPLER: OnceLock<Sampler> = OnceLock::new();

/// Starts to export spans.
pub(super) fn begin(sampler: Sampler) {
    SAMPLER.get_or_init(|| sampler);
}

/// Whether a span is for export. Such a span does not appear in the log.
pub fn is_for_export(span: &Metadata<'_>) -> bool {
    matches!(span.target(), TARGET | ROOT_TARGET)
}

/// Whether to export work that continues the trace of `parent` or, without one, begins a trace.
/// Always false if no exporter is configured.
pub fn is_sampled(parent: Option<TraceParent>) -> bool {
    SAMPLER.get().is_some_and(|sampler| samples(sampler, parent))
}

fn samples(sampler: &Sampler, parent: Option<TraceParent>) -> bool {
    let parent = parent.map(|parent| remote(parent, TraceState::NONE));
    let trace_id = parent.as_ref().map_or_else(
        || RandomIdGenerator::default().new_trace_id(),
        |parent| parent.span().span_context().trace_id(),
    );
    let result =
        sampler.should_sample(parent.as_ref(), trace_id, "", &SpanKind::Internal, &[], &[]);
    result.decision == SamplingDecision::RecordAndSample
}

/// Makes a span of another process the parent of a new span with the target `otel::root`. `state`
/// is the value of the header `tracestate`; a malformed value is ignored.
pub fn set_parent(span: &Span, parent: Option<TraceParent>, state: Option<&str>) {
    let Some(parent) = parent else { return };
    let state = state.and_then(|state| TraceState::from_str(state).ok()).unwrap_or_default();
    if span.set_parent(remote(parent, state)).is_err() {
        tracing::debug!("a span has no parent: it was not made to be exported");
    }
}

fn remote(parent: TraceParent, state: TraceState) -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from_bytes(parent.trace_id_bytes()),
        SpanId::from_bytes(parent.span_id_bytes()),
        TraceFlags::new(parent.flags()),
        true,
        state,
    ))
}

/// The position of a span in its trace, for work that continues the trace elsewhere. `None` if the
/// span is not exported.
pub fn place_of(span: &Span) -> Option<TraceParent> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let place = span.span_context();
    let flags = place.trace_flags().to_u8();
    TraceParent::new(place.trace_id().to_bytes(), place.span_id().to_bytes(), flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(flags: &str) -> Option<TraceParent> {
        TraceParent::parse(&format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}"))
    }

    #[test]
    fn only_parent_based_samplers_use_the_decision_of_the_caller() {
        let by_parent = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
        assert!(samples(&by_parent, parent("01")));
        assert!(!samples(&by_parent, parent("00")));
        assert!(!samples(&by_parent, None));
        assert!(samples(&Sampler::AlwaysOn, parent("00")));
        assert!(!samples(&Sampler::AlwaysOff, parent("01")));
    }

    #[test]
    fn the_sampling_ratio_is_applied() {
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(0.25)));
        let sampled = (0..4000).filter(|_| samples(&sampler, None)).count();
        // Six standard deviations.
        assert!((836..=1164).contains(&sampled), "{sampled}");
    }
}
