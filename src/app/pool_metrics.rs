//! Metrics of the store's connection pool, read at each scrape.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;

use crate::storage::Store;
use crate::transport::metrics::Metrics;

pub fn register(metrics: &Metrics, store: Store) {
    metrics.register(|registry| registry.register_collector(Box::new(Pool(store))));
}

struct Pool(Store);

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pool")
    }
}

impl Collector for Pool {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let size = self.0.pool_size();
        for (name, help, value) in [
            ("store_connections_open", "Open connections of the read pool", size.open),
            ("store_connections_idle", "Idle connections of the read pool", size.idle),
        ] {
            let gauge = ConstGauge::new(i64::from(value));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
