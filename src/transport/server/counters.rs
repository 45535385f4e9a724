//! Counters of connections, for `/metrics`.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::transport::layers::metrics::Metrics;

/// Why a connection is not let in, except for probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There are as many as there may be.
    All,
    /// Its network has as many as one may have.
    Network,
}

impl Refusal {
    /// The setting that says how many.
    pub fn setting(self) -> &'static str {
        match self {
            Self::All => "http.max_connections",
            Self::Network => "http.max_connections_per_network",
        }
    }
}

/// Why the server ends a connection that goes on well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The process stops.
    Stop,
    /// There was no request for a time.
    Idle,
    /// It is as old as a connection may become.
    Age,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// The counters of one listener. Clones share.
#[derive(Clone, Default)]
pub struct Counters {
    open: Gauge,
    refused: Family<Reason, Counter>,
    ended: Family<Reason, Counter>,
}

impl Counters {
    /// Adds them to those of the process.
    pub fn register(&self, metrics: &Metrics) {
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

    pub(super) fn refused(&self, refusal: Refusal) {
        let reason = match refusal {
            Refusal::All => "max_connections",
            Refusal::Network => "max_connections_per_network",
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
