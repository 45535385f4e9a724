//! Metrics of the store, read at each scrape.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;

use crate::storage::Store;
use crate::transport::metrics::Metrics;
use crate::workers::event_lag::EventLag;

pub fn register(metrics: &Metrics, store: Store, event_lag: EventLag) {
    let statistics = store.statistics().clone();
    metrics.register(|registry| {
        registry.register(
            "store_read_duration_seconds",
            "From a statement that reads to its result",
            statistics.reads,
        );
        registry.register(
            "store_transaction_duration_seconds",
            "From the begin of a transaction that writes to its end",
            statistics.transactions,
        );
        registry.register(
            "store_commit_duration_seconds",
            "From a commit to its confirmation",
            statistics.commits,
        );
        registry.register(
            "store_pool_wait_seconds",
            "Waits for a connection of the pool, on PostgreSQL",
            statistics.pool_waits,
        );
        registry.register(
            "store_errors",
            "Statements and transactions that failed, by their cause",
            statistics.errors,
        );
    });
    let collector = StoreMetrics { store, event_lag };
    metrics.register(|registry| registry.register_collector(Box::new(collector)));
}

struct StoreMetrics {
    store: Store,
    event_lag: EventLag,
}

impl std::fmt::Debug for StoreMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreMetrics")
    }
}

impl Collector for StoreMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let size = self.store.pool_size();
        let lag = "Age of the oldest committed event that readers may not have yet";
        for (name, help, value) in [
            ("store_connections_open", "Open connections of the read pool", f64::from(size.open)),
            ("store_connections_idle", "Idle connections of the read pool", f64::from(size.idle)),
            ("events_lag_seconds", lag, self.event_lag.get().as_secs_f64()),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        if let Some(bytes) = self.store.log_bytes() {
            let gauge = ConstGauge::new(bytes as f64);
            let help = "Size of SQLite's log (WAL)";
            let kind = gauge.metric_type();
            gauge.encode(encoder.encode_descriptor("store_wal_bytes", help, None, kind)?)?;
        }
        Ok(())
    }
}
