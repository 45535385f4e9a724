//! Exports spans by OTLP over HTTP, as configured by OpenTelemetry's environment variables.
//! `deploy/observability.md` lists those that have an effect.

mod client;
mod environment;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{DynFilterFn, filter_fn};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::trace::{self, TARGET, is_for_export};
use client::Client;
use environment::Variables;

/// The longest time to send the remaining spans when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

const SERVICE_NAME: &str = "service.name";

/// Exports the spans of this process.
#[must_use]
pub struct Export {
    provider: SdkTracerProvider,
    sampler: Sampler,
}

impl Export {
    /// `None` if the environment variables request no traces.
    ///
    /// # Errors
    /// If they are invalid or request something that is not supported, or if the exporter cannot
    /// be built.
    pub(super) fn from_environment() -> Result<Option<Self>, String> {
        let variables = Variables::of_process();
        if !variables.traces_enabled()? {
            return Ok(None);
        }
        let client = Client::new(variables.timeout()?).map_err(|error| error.to_string())?;
        let exporter = SpanExporter::builder().with_http().with_http_client(client);
        let exporter = exporter.build().map_err(|error| error.to_string())?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            // `trace::is_sampled` decides before a span is created.
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource())
            .build();
        Ok(Some(Self { provider, sampler: variables.sampler()? }))
    }

    /// The layer that converts spans to spans of OpenTelemetry.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(env!("CARGO_PKG_NAME")))
            .with_context_activation(false)
            .with_tracked_inactivity(false)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_filter(filter_fn(is_for_export).with_max_level_hint(LevelFilter::INFO))
    }

    /// Begins to create spans.
    pub(super) fn begin(&self) {
        trace::begin(self.sampler.clone());
    }

    /// Sends the spans that are left; waits at most 2 seconds.
    pub fn flush(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!(%error, "the last spans of traces could not be sent; they are lost");
        }
    }
}

/// A filter for all layers: a span for export is created only inside another span for export,
/// unless it begins the part of a trace in this process.
pub(super) fn within_a_trace<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let filter = DynFilterFn::new(|metadata, context: &Context<'_, S>| {
        let is_within = |span: SpanRef<'_, S>| span.scope().any(|it| is_for_export(it.metadata()));
        metadata.target() != TARGET || context.lookup_current().is_some_and(is_within)
    });
    filter.with_callsite_filter(|metadata| match metadata.target() {
        TARGET => Interest::sometimes(),
        _ => Interest::always(),
    })
}

/// The attributes of this process, also from `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.
/// If these set no service name, it is the name of the package.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = || Resource::builder().with_attribute(version.clone());
    let resource = builder().build();
    let name = resource.get(&SERVICE_NAME.into()).map(|name| name.to_string());
    match name.as_deref().is_none_or(|name| name.starts_with("unknown_service")) {
        true => builder().with_service_name(env!("CARGO_PKG_NAME")).build(),
        false => resource,
    }
}
