//! Metrics of rate limits.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use crate::limits::Limits;
use crate::transport::metrics::Metrics;

pub fn register(metrics: &Metrics, limits: &Arc<Limits>) {
    let collector = RateLimits(Arc::clone(limits));
    metrics.register(|registry| registry.register_collector(Box::new(collector)));
}

#[derive(Debug)]
struct RateLimits(Arc<Limits>);

impl Collector for RateLimits {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "Requests that were rejected by a limit of the section [limits]";
        let kind = MetricType::Counter;
        let mut metric = encoder.encode_descriptor("rate_limited", help, None, kind)?;
        for (limit, rejected) in self.0.rejected() {
            ConstCounter::new(rejected).encode(metric.encode_family(&[("limit", limit)])?)?;
        }
        Ok(())
    }
}
