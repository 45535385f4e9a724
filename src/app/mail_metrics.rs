//! Metrics of the outbox.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::transport::metrics::Metrics;
use crate::workers::mail::MailWorker;

pub fn register(metrics: &Metrics, worker: &Arc<MailWorker>) {
    let collector = Outbox(Arc::clone(worker));
    metrics.register(|registry| registry.register_collector(Box::new(collector)));
}

struct Outbox(Arc<MailWorker>);

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outbox")
    }
}

impl Collector for Outbox {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let numbers = self.0.numbers();
        let oldest = "How long the oldest of these mails has been waiting";
        for (name, help, value) in [
            ("mails_waiting", "Mails that no mail server has accepted yet", numbers.waiting),
            ("mails_oldest_seconds", oldest, numbers.oldest_seconds),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let attempts = "Attempts of this process to send a mail that are repeated later";
        for (name, help, value) in [
            ("mails_sent", "Mails of this process that were accepted", numbers.sent),
            ("mails_postponed", attempts, numbers.postponed),
            ("mails_failed", "Mails that this process has given up", numbers.failed),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(
                name,
                help,
                None,
                counter.metric_type(),
            )?)?;
        }
        Ok(())
    }
}
