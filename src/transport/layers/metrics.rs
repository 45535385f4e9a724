//! Counters of the door, in Prometheus' words.
//!
//! Labels come from fixed sets (routes' templates, protocols, codes), so that no
//! caller can make a new series.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::observe::Done;
use crate::transport::status::code_name;

/// Upper bounds in seconds, from a cached read to the request deadline.
const BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    rpc: Arc<str>,
    protocol: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Took {
    rpc: Arc<str>,
    protocol: &'static str,
}

/// The metrics of this process. Clones share.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    requests: Family<Ended, Counter>,
    durations: Family<Took, Histogram>,
    in_flight: Gauge,
}

impl Metrics {
    /// Empty counters, and what was built.
    pub fn new() -> Self {
        let metrics = Self {
            registry: Arc::new(Mutex::new(Registry::with_prefix("guestlist"))),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Gauge::default(),
        };
        metrics.register(|registry| {
            registry.register("requests", "Requests that have ended", metrics.requests.clone());
            registry.register(
                "request_duration_seconds",
                "From a request's head to the end of its answer",
                metrics.durations.clone(),
            );
            registry.register(
                "requests_in_flight",
                "Requests that have not ended",
                metrics.in_flight.clone(),
            );
            registry.register(
                "build",
                "What is running",
                Info::new([("version", env!("CARGO_PKG_VERSION"))]),
            );
        });
        metrics
    }

    /// Lets another part add its own, such as the store's pool as a collector.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Everything as OpenMetrics text.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }

    pub(super) fn started(&self) {
        self.in_flight.inc();
    }

    pub(super) fn finished(&self, done: &Done<'_>) {
        self.in_flight.dec();
        let rpc = done.call.route.name(done.method);
        let protocol = done.call.protocol.name();
        self.durations
            .get_or_create(&Took { rpc: Arc::clone(&rpc), protocol })
            .observe(done.duration.as_secs_f64());
        let code = code_name(done.code);
        self.requests.get_or_create(&Ended { rpc, protocol, code }).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
