//! Request metrics in the Prometheus format.
//!
//! Labels have a fixed set of values (route templates, protocols, codes), so that no client can
//! create new series.

mod process;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tonic::Code;

use super::status::code_name;
use process::Process;

/// The prefix of the names of our metrics.
const PREFIX: &str = "guestlist";

/// Upper bounds of the histogram in seconds, from a cached read to the request deadline.
const BUCKETS_SECONDS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    rpc: Arc<str>,
    protocol: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    rpc: Arc<str>,
    protocol: &'static str,
}

/// The settings that limit concurrent requests.
const CONCURRENCY_LIMITS: [&str; 8] = [
    "max_requests",
    "max_streaming_requests",
    "max_anonymous_requests",
    "max_anonymous_streaming_requests",
    "max_waiting",
    "max_waiting_per_account",
    "max_waiting_per_network",
    "max_waiting_per_organization",
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabel {
    limit: &'static str,
}

/// The metrics of this process. Clones share the registry.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    requests: Family<RequestLabels, Counter>,
    durations: Family<DurationLabels, Histogram>,
    in_flight: Gauge,
    rejected: Family<LimitLabel, Counter>,
}

impl Metrics {
    pub fn new() -> Self {
        let metrics = Self {
            registry: Arc::new(Mutex::new(Registry::default())),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS_SECONDS)),
            in_flight: Gauge::default(),
            rejected: Family::default(),
        };
        // Creates each series at zero: a rate does not count the first value of a new series.
        for limit in CONCURRENCY_LIMITS {
            drop(metrics.rejected.get_or_create(&LimitLabel { limit }));
        }
        metrics.registry().register_collector(Box::new(Process::new()));
        metrics.register(|registry| {
            registry.register("requests", "Requests that have ended", metrics.requests.clone());
            registry.register(
                "request_duration_seconds",
                "From a request's head to the end of its response",
                metrics.durations.clone(),
            );
            registry.register(
                "requests_in_flight",
                "Requests that have not ended",
                metrics.in_flight.clone(),
            );
            registry.register(
                "concurrency_limited",
                "Requests that were rejected because too many run or wait",
                metrics.rejected.clone(),
            );
            registry.register(
                "build",
                "The running version",
                Info::new([("version", env!("CARGO_PKG_VERSION"))]),
            );
        });
        metrics
    }

    /// Adds metrics of another part, such as those of the database pool.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(self.registry().sub_registry_with_prefix(PREFIX));
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All metrics as OpenMetrics text.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry())?;
        Ok(text)
    }

    /// Counts a request that was rejected by a concurrency limit; `limit` is its setting.
    pub(super) fn rejected(&self, limit: &'static str) {
        self.rejected.get_or_create(&LimitLabel { limit }).inc();
    }

    pub(super) fn started(&self) {
        self.in_flight.inc();
    }

    /// Counts a request that has ended. `rpc` is the name of its route.
    pub(super) fn finished(
        &self,
        rpc: Arc<str>,
        protocol: &'static str,
        code: Code,
        duration: Duration,
    ) {
        self.in_flight.dec();
        self.durations
            .get_or_create(&DurationLabels { rpc: Arc::clone(&rpc), protocol })
            .observe(duration.as_secs_f64());
        let code = code_name(code);
        self.requests.get_or_create(&RequestLabels { rpc, protocol, code }).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
