//! Connection metrics.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::transport::metrics::Metrics;

/// The limit that a connection exceeds. It is closed or serves probes only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExceededLimit {
    Total,
    Network,
}

impl ExceededLimit {
    /// The setting with the limit.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Total => "http.max_connections",
            Self::Network => "http.max_connections_per_network",
        }
    }
}

/// Why the server closes a working connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Shutdown.
    Stop,
    /// No request within the idle time-out.
    Idle,
    /// The maximum age.
    Age,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// The counters of one listener. Clones share them.
#[derive(Clone, Default)]
pub struct Counters {
    open: Gauge,
    refused: Family<Reason, Counter>,
    ended: Family<Reason, Counter>,
}

impl Counters {
    pub fn register(&self, metrics: &Metrics) {
        // Creates each series at zero: a rate does not count the first value of a new series.
        for reason in ["max_connections", "max_connections_per_network"] {
            drop(self.refused.get_or_create(&Reason { reason }));
        }
        metrics.register(|registry| {
            registry.register("connections_open", "Connections that are open", self.open.clone());
            registry.register(
                "connections_refused",
                "Connections over a bound, which were closed or served probes only",
                self.refused.clone(),
            );
            registry.register(
                "connections_ended",
                "Connections that this server ended, being idle or old",
                self.ended.clone(),
            );
        });
    }

    pub(super) fn opened(&self) {
        self.open.inc();
    }

    pub(super) fn closed(&self) {
        self.open.dec();
    }

    pub(super) fn limited(&self, limit: ExceededLimit) {
        let reason = match limit {
            ExceededLimit::Total => "max_connections",
            ExceededLimit::Network => "max_connections_per_network",
        };
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    pub(super) fn ended(&self, ending: Ending) {
        let reason = match ending {
            Ending::Stop => "stop",
            Ending::Idle => "idle",
            Ending::Age => "age",
        };
        self.ended.get_or_create(&Reason { reason }).inc();
    }
}
