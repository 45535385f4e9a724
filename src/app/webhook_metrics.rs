//! Metrics of webhooks.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::transport::metrics::Metrics;
use crate::workers::webhooks::WebhookWorker;

pub fn register(metrics: &Metrics, worker: &Arc<WebhookWorker>) {
    let collector = Webhooks(Arc::clone(worker));
    metrics.register(|registry| registry.register_collector(Box::new(collector)));
}

struct Webhooks(Arc<WebhookWorker>);

impl std::fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Webhooks")
    }
}

impl Collector for Webhooks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let numbers = self.0.numbers();
        for (name, help, value) in [
            ("webhooks_waiting", "Events that endpoints have not accepted yet", numbers.waiting),
            (
                "webhooks_oldest_seconds",
                "How long the oldest of these events has been waiting",
                numbers.oldest_seconds,
            ),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let counter = ConstCounter::new(numbers.failed);
        let help = "Requests of this process that an endpoint did not accept";
        let kind = counter.metric_type();
        counter.encode(encoder.encode_descriptor("webhooks_failed", help, None, kind)?)
    }
}
